// SPDX-License-Identifier: Apache-2.0
// Written by scripts/judge-ptx from judge.cu and delay.cu.
#pragma once

namespace kernelwright::referee {

// clang-format off
inline constexpr char kJudgePtx[] = R"ptx(

.version 7.0
.target sm_75
.address_size 64

.visible .entry kw_measure(
	.param .align 8 .b8 kw_measure_param_0[48],
	.param .f64 kw_measure_param_1,
	.param .u64 kw_measure_param_2
)
.maxntid 256, 1, 1
{
	.reg .pred 	%p<94>;
	.reg .b16 	%rs<9>;
	.reg .f32 	%f<9>;
	.reg .b32 	%r<35>;
	.reg .f64 	%fd<140>;
	.reg .b64 	%rd<124>;
	.shared .align 8 .b8 _ZZ10kw_measureN39_GLOBAL__N__e81ba927_8_judge_cu_kw_hash6ArraysEdPN12kernelwright7referee5TallyEE4room[18432];

	mov.u64 	%rd117, 0;
	ld.param.v2.u32 	{%r14, %r15}, [kw_measure_param_0+40];
	ld.param.f64 	%fd59, [kw_measure_param_1];
	ld.param.u64 	%rd37, [kw_measure_param_0+32];
	ld.param.u64 	%rd36, [kw_measure_param_0+24];
	ld.param.u64 	%rd35, [kw_measure_param_0+16];
	ld.param.u64 	%rd34, [kw_measure_param_0+8];
	ld.param.u64 	%rd33, [kw_measure_param_0];
	cvta.to.global.u64 	%rd1, %rd33;
	cvta.to.global.u64 	%rd2, %rd34;
	cvta.to.global.u64 	%rd3, %rd35;
	cvta.to.global.u64 	%rd4, %rd36;
	mov.u32 	%r16, %ctaid.x;
	mov.u32 	%r17, %ntid.x;
	mul.wide.u32 	%rd43, %r16, %r17;
	mov.u32 	%r18, %tid.x;
	cvt.u64.u32 	%rd44, %r18;
	add.s64 	%rd111, %rd43, %rd44;
	setp.ge.s64 	%p10, %rd111, %rd37;
	mov.u64 	%rd116, -1;
	mov.f64 	%fd130, 0d0000000000000000;
	mov.u64 	%rd118, %rd117;
	mov.f64 	%fd131, %fd130;
	mov.f64 	%fd132, %fd130;
	mov.f64 	%fd133, %fd130;
	mov.f64 	%fd134, %fd130;
	mov.u64 	%rd119, %rd116;
	@%p10 bra 	$L__BB0_45;

	mov.u64 	%rd119, -1;
	mov.u64 	%rd118, 0;
	mov.f64 	%fd134, 0d0000000000000000;
	mov.u32 	%r27, %nctaid.x;
	mov.f64 	%fd133, %fd134;
	mov.f64 	%fd132, %fd134;
	mov.f64 	%fd131, %fd134;
	mov.f64 	%fd130, %fd134;
	mov.u64 	%rd117, %rd118;
	mov.u64 	%rd116, %rd119;
	bra.uni 	$L__BB0_2;

$L__BB0_6:
	setp.gt.s32 	%p13, %r14, 3;
	@%p13 bra 	$L__BB0_14;
	bra.uni 	$L__BB0_7;

$L__BB0_14:
	setp.gt.s32 	%p14, %r14, 5;
	@%p14 bra 	$L__BB0_18;
	bra.uni 	$L__BB0_15;

$L__BB0_18:
	setp.eq.s32 	%p15, %r14, 6;
	@%p15 bra 	$L__BB0_23;

	setp.eq.s32 	%p16, %r14, 7;
	@%p16 bra 	$L__BB0_22;

	setp.ne.s32 	%p17, %r14, 8;
	@%p17 bra 	$L__BB0_27;

	add.s64 	%rd53, %rd1, %rd111;
	ld.global.u8 	%rs1, [%rd53];
	cvt.rn.f64.u16 	%fd127, %rs1;
	add.s64 	%rd54, %rd2, %rd111;
	ld.global.u8 	%rs2, [%rd54];
	cvt.rn.f64.u16 	%fd128, %rs2;
	bra.uni 	$L__BB0_28;

$L__BB0_7:
	setp.gt.s32 	%p20, %r14, 1;
	@%p20 bra 	$L__BB0_11;

	setp.eq.s32 	%p23, %r14, 0;
	@%p23 bra 	$L__BB0_26;

	setp.eq.s32 	%p24, %r14, 1;
	@%p24 bra 	$L__BB0_10;
	bra.uni 	$L__BB0_27;

$L__BB0_10:
	shl.b64 	%rd74, %rd111, 2;
	add.s64 	%rd75, %rd1, %rd74;
	ld.global.f32 	%f6, [%rd75];
	cvt.f64.f32 	%fd127, %f6;
	add.s64 	%rd76, %rd2, %rd74;
	ld.global.f32 	%f7, [%rd76];
	cvt.f64.f32 	%fd128, %f7;
	bra.uni 	$L__BB0_28;

$L__BB0_15:
	setp.eq.s32 	%p18, %r14, 4;
	@%p18 bra 	$L__BB0_24;

	setp.eq.s32 	%p19, %r14, 5;
	@%p19 bra 	$L__BB0_17;
	bra.uni 	$L__BB0_27;

$L__BB0_17:
	shl.b64 	%rd60, %rd111, 2;
	add.s64 	%rd61, %rd1, %rd60;
	ld.global.u32 	%r19, [%rd61];
	cvt.rn.f64.s32 	%fd127, %r19;
	add.s64 	%rd62, %rd2, %rd60;
	ld.global.u32 	%r20, [%rd62];
	cvt.rn.f64.s32 	%fd128, %r20;
	bra.uni 	$L__BB0_28;

$L__BB0_11:
	setp.eq.s32 	%p21, %r14, 2;
	@%p21 bra 	$L__BB0_25;

	setp.eq.s32 	%p22, %r14, 3;
	@%p22 bra 	$L__BB0_13;
	bra.uni 	$L__BB0_27;

$L__BB0_13:
	shl.b64 	%rd68, %rd111, 1;
	add.s64 	%rd69, %rd1, %rd68;
	ld.global.u16 	%r21, [%rd69];
	shl.b32 	%r22, %r21, 16;
	mov.b32 	%f2, %r22;
	cvt.f64.f32 	%fd127, %f2;
	add.s64 	%rd70, %rd2, %rd68;
	ld.global.u16 	%r23, [%rd70];
	shl.b32 	%r24, %r23, 16;
	mov.b32 	%f3, %r24;
	cvt.f64.f32 	%fd128, %f3;
	bra.uni 	$L__BB0_28;

$L__BB0_23:
	shl.b64 	%rd57, %rd111, 1;
	add.s64 	%rd58, %rd1, %rd57;
	ld.global.u16 	%rs5, [%rd58];
	cvt.rn.f64.s16 	%fd127, %rs5;
	add.s64 	%rd59, %rd2, %rd57;
	ld.global.u16 	%rs6, [%rd59];
	cvt.rn.f64.s16 	%fd128, %rs6;
	bra.uni 	$L__BB0_28;

$L__BB0_22:
	add.s64 	%rd55, %rd1, %rd111;
	ld.global.s8 	%rs3, [%rd55];
	cvt.rn.f64.s16 	%fd127, %rs3;
	add.s64 	%rd56, %rd2, %rd111;
	ld.global.s8 	%rs4, [%rd56];
	cvt.rn.f64.s16 	%fd128, %rs4;
	bra.uni 	$L__BB0_28;

$L__BB0_26:
	shl.b64 	%rd77, %rd111, 3;
	add.s64 	%rd78, %rd1, %rd77;
	ld.global.f64 	%fd127, [%rd78];
	add.s64 	%rd79, %rd2, %rd77;
	ld.global.f64 	%fd128, [%rd79];
	bra.uni 	$L__BB0_28;

$L__BB0_24:
	shl.b64 	%rd63, %rd111, 3;
	add.s64 	%rd64, %rd1, %rd63;
	ld.global.u64 	%rd65, [%rd64];
	cvt.rn.f64.s64 	%fd127, %rd65;
	add.s64 	%rd66, %rd2, %rd63;
	ld.global.u64 	%rd67, [%rd66];
	cvt.rn.f64.s64 	%fd128, %rd67;
	bra.uni 	$L__BB0_28;

$L__BB0_25:
	shl.b64 	%rd71, %rd111, 1;
	add.s64 	%rd72, %rd1, %rd71;
	ld.global.u16 	%rs7, [%rd72];
	cvt.f32.f16 %f4, %rs7;
	cvt.f64.f32 	%fd127, %f4;
	add.s64 	%rd73, %rd2, %rd71;
	ld.global.u16 	%rs8, [%rd73];
	cvt.f32.f16 %f5, %rs8;
	cvt.f64.f32 	%fd128, %f5;
	bra.uni 	$L__BB0_28;

$L__BB0_27:
	shl.b64 	%rd80, %rd111, 2;
	add.s64 	%rd81, %rd1, %rd80;
	ld.global.u32 	%r25, [%rd81];
	cvt.rn.f64.u32 	%fd127, %r25;
	add.s64 	%rd82, %rd2, %rd80;
	ld.global.u32 	%r26, [%rd82];
	cvt.rn.f64.u32 	%fd128, %r26;

$L__BB0_28:
	@%p11 bra 	$L__BB0_30;

	shl.b64 	%rd83, %rd111, 3;
	add.s64 	%rd84, %rd3, %rd83;
	ld.global.f64 	%fd129, [%rd84];
	bra.uni 	$L__BB0_31;

$L__BB0_30:
	shl.b64 	%rd85, %rd111, 2;
	add.s64 	%rd86, %rd3, %rd85;
	ld.global.f32 	%f8, [%rd86];
	cvt.f64.f32 	%fd129, %f8;

$L__BB0_31:
	sub.f64 	%fd71, %fd128, %fd128;
	setp.neu.f64 	%p26, %fd71, 0d0000000000000000;
	add.f64 	%fd72, %fd128, %fd129;
	selp.f64 	%fd34, %fd129, %fd72, %p26;
	setp.nan.f64 	%p27, %fd34, %fd34;
	setp.nan.f64 	%p28, %fd127, %fd34;
	setp.nan.f64 	%p29, %fd127, %fd127;
	and.pred  	%p91, %p29, %p27;
	@%p28 bra 	$L__BB0_33;

	sub.f64 	%fd73, %fd127, %fd127;
	setp.eq.f64 	%p30, %fd73, 0d0000000000000000;
	sub.f64 	%fd74, %fd34, %fd34;
	setp.eq.f64 	%p31, %fd74, 0d0000000000000000;
	and.pred  	%p32, %p30, %p31;
	setp.eq.f64 	%p33, %fd127, %fd34;
	or.pred  	%p91, %p33, %p32;

$L__BB0_33:
	add.s64 	%rd117, %rd117, 1;
	@%p91 bra 	$L__BB0_38;

	setp.nan.f64 	%p89, %fd127, %fd127;
	setp.nan.f64 	%p35, %fd128, %fd128;
	and.pred  	%p92, %p89, %p35;
	setp.nan.f64 	%p36, %fd127, %fd128;
	@%p36 bra 	$L__BB0_36;

	sub.f64 	%fd118, %fd128, %fd128;
	sub.f64 	%fd75, %fd127, %fd127;
	setp.eq.f64 	%p37, %fd75, 0d0000000000000000;
	setp.eq.f64 	%p38, %fd118, 0d0000000000000000;
	and.pred  	%p39, %p37, %p38;
	setp.eq.f64 	%p40, %fd127, %fd128;
	or.pred  	%p92, %p40, %p39;

$L__BB0_36:
	@%p92 bra 	$L__BB0_38;
	bra.uni 	$L__BB0_37;

$L__BB0_38:
	sub.f64 	%fd35, %fd127, %fd127;
	setp.neu.f64 	%p41, %fd35, 0d0000000000000000;
	sub.f64 	%fd77, %fd34, %fd34;
	setp.neu.f64 	%p42, %fd77, 0d0000000000000000;
	or.pred  	%p43, %p41, %p42;
	@%p43 bra 	$L__BB0_41;
	bra.uni 	$L__BB0_39;

$L__BB0_41:
	setp.nan.f64 	%p90, %fd127, %fd127;
	setp.nan.f64 	%p53, %fd128, %fd128;
	and.pred  	%p93, %p90, %p53;
	setp.nan.f64 	%p54, %fd127, %fd128;
	@%p54 bra 	$L__BB0_43;

	sub.f64 	%fd120, %fd127, %fd127;
	sub.f64 	%fd119, %fd128, %fd128;
	setp.eq.f64 	%p55, %fd120, 0d0000000000000000;
	setp.eq.f64 	%p56, %fd119, 0d0000000000000000;
	and.pred  	%p57, %p55, %p56;
	setp.eq.f64 	%p58, %fd127, %fd128;
	or.pred  	%p93, %p58, %p57;

$L__BB0_43:
	not.pred 	%p59, %p93;
	selp.u64 	%rd87, 1, 0, %p59;
	add.s64 	%rd118, %rd118, %rd87;
	bra.uni 	$L__BB0_44;

$L__BB0_39:
	sub.f64 	%fd78, %fd127, %fd34;
	setp.lt.f64 	%p44, %fd78, 0d0000000000000000;
	neg.f64 	%fd79, %fd78;
	selp.f64 	%fd80, %fd79, %fd78, %p44;
	max.f64 	%fd81, %fd126, 0d01A56E1FC2F8F359;
	div.rn.f64 	%fd82, %fd80, %fd81;
	min.f64 	%fd83, %fd82, 0d5F138D352E5096AF;
	fma.rn.f64 	%fd134, %fd83, %fd83, %fd134;
	fma.rn.f64 	%fd133, %fd80, %fd80, %fd133;
	fma.rn.f64 	%fd132, %fd34, %fd34, %fd132;
	setp.gt.f64 	%p45, %fd83, %fd131;
	setp.lt.s64 	%p46, %rd119, 0;
	or.pred  	%p47, %p46, %p45;
	selp.b64 	%rd119, %rd111, %rd119, %p47;
	selp.f64 	%fd131, %fd83, %fd131, %p45;
	setp.gt.f64 	%p48, %fd80, %fd130;
	selp.f64 	%fd130, %fd80, %fd130, %p48;
	sub.f64 	%fd84, %fd127, %fd128;
	setp.lt.f64 	%p49, %fd84, 0d0000000000000000;
	neg.f64 	%fd85, %fd84;
	selp.f64 	%fd86, %fd85, %fd84, %p49;
	neg.f64 	%fd87, %fd128;
	setp.lt.f64 	%p50, %fd128, 0d0000000000000000;
	selp.f64 	%fd88, %fd87, %fd128, %p50;
	fma.rn.f64 	%fd89, %fd88, %fd59, %fd59;
	setp.le.f64 	%p51, %fd86, %fd89;
	@%p51 bra 	$L__BB0_44;

	add.s64 	%rd118, %rd118, 1;
	bra.uni 	$L__BB0_44;

$L__BB0_37:
	min.u64 	%rd116, %rd116, %rd111;
	add.s64 	%rd118, %rd118, 1;
	bra.uni 	$L__BB0_44;

$L__BB0_2:
	setp.eq.s32 	%p11, %r15, 0;
	@%p11 bra 	$L__BB0_4;

	shl.b64 	%rd49, %rd111, 3;
	add.s64 	%rd50, %rd4, %rd49;
	ld.global.f64 	%fd126, [%rd50];
	bra.uni 	$L__BB0_5;

$L__BB0_4:
	shl.b64 	%rd51, %rd111, 2;
	add.s64 	%rd52, %rd4, %rd51;
	ld.global.f32 	%f1, [%rd52];
	cvt.f64.f32 	%fd126, %f1;

$L__BB0_5:
	sub.f64 	%fd70, %fd126, %fd126;
	setp.neu.f64 	%p12, %fd70, 0d0000000000000000;
	@%p12 bra 	$L__BB0_44;
	bra.uni 	$L__BB0_6;

$L__BB0_44:
	mul.wide.u32 	%rd88, %r27, %r17;
	add.s64 	%rd111, %rd111, %rd88;
	setp.lt.s64 	%p60, %rd111, %rd37;
	@%p60 bra 	$L__BB0_2;

$L__BB0_45:
	mov.u32 	%r30, _ZZ10kw_measureN39_GLOBAL__N__e81ba927_8_judge_cu_kw_hash6ArraysEdPN12kernelwright7referee5TallyEE4room;
	mad.lo.s32 	%r4, %r18, 72, %r30;
	st.shared.f64 	[%r4], %fd134;
	st.shared.f64 	[%r4+8], %fd133;
	st.shared.f64 	[%r4+16], %fd132;
	st.shared.f64 	[%r4+24], %fd131;
	st.shared.f64 	[%r4+32], %fd130;
	st.shared.u64 	[%r4+40], %rd118;
	st.shared.u64 	[%r4+48], %rd117;
	st.shared.u64 	[%r4+56], %rd116;
	st.shared.u64 	[%r4+64], %rd119;
	mov.u32 	%r34, 128;

$L__BB0_46:
	bar.sync 	0;
	setp.ge.u32 	%p61, %r18, %r34;
	@%p61 bra 	$L__BB0_59;

	mad.lo.s32 	%r6, %r34, 72, %r4;
	ld.shared.f64 	%fd91, [%r4];
	ld.shared.f64 	%fd92, [%r6];
	add.f64 	%fd93, %fd92, %fd91;
	st.shared.f64 	[%r4], %fd93;
	ld.shared.f64 	%fd94, [%r4+8];
	ld.shared.f64 	%fd95, [%r6+8];
	add.f64 	%fd96, %fd95, %fd94;
	st.shared.f64 	[%r4+8], %fd96;
	ld.shared.f64 	%fd97, [%r4+16];
	ld.shared.f64 	%fd98, [%r6+16];
	add.f64 	%fd99, %fd98, %fd97;
	st.shared.f64 	[%r4+16], %fd99;
	ld.shared.u64 	%rd27, [%r6+64];
	setp.lt.s64 	%p62, %rd27, 0;
	@%p62 bra 	$L__BB0_52;

	ld.shared.u64 	%rd28, [%r4+64];
	setp.lt.s64 	%p63, %rd28, 0;
	@%p63 bra 	$L__BB0_51;

	ld.shared.f64 	%fd51, [%r4+24];
	ld.shared.f64 	%fd52, [%r6+24];
	setp.gt.f64 	%p64, %fd52, %fd51;
	@%p64 bra 	$L__BB0_51;

	setp.neu.f64 	%p65, %fd52, %fd51;
	setp.ge.s64 	%p66, %rd27, %rd28;
	or.pred  	%p67, %p65, %p66;
	@%p67 bra 	$L__BB0_52;

$L__BB0_51:
	st.shared.u64 	[%r4+64], %rd27;

$L__BB0_52:
	ld.shared.f64 	%fd100, [%r4+24];
	ld.shared.f64 	%fd53, [%r6+24];
	setp.leu.f64 	%p68, %fd53, %fd100;
	@%p68 bra 	$L__BB0_54;

	st.shared.f64 	[%r4+24], %fd53;

$L__BB0_54:
	ld.shared.f64 	%fd101, [%r4+32];
	ld.shared.f64 	%fd54, [%r6+32];
	setp.leu.f64 	%p69, %fd54, %fd101;
	@%p69 bra 	$L__BB0_56;

	st.shared.f64 	[%r4+32], %fd54;

$L__BB0_56:
	ld.shared.u64 	%rd89, [%r4+40];
	ld.shared.u64 	%rd90, [%r6+40];
	add.s64 	%rd91, %rd89, %rd90;
	st.shared.u64 	[%r4+40], %rd91;
	ld.shared.u64 	%rd92, [%r4+48];
	ld.shared.u64 	%rd93, [%r6+48];
	add.s64 	%rd94, %rd92, %rd93;
	st.shared.u64 	[%r4+48], %rd94;
	ld.shared.u64 	%rd29, [%r6+56];
	setp.lt.s64 	%p70, %rd29, 0;
	@%p70 bra 	$L__BB0_59;

	ld.shared.u64 	%rd95, [%r4+56];
	setp.gt.s64 	%p71, %rd95, -1;
	setp.ge.s64 	%p72, %rd29, %rd95;
	and.pred  	%p73, %p71, %p72;
	@%p73 bra 	$L__BB0_59;

	st.shared.u64 	[%r4+56], %rd29;

$L__BB0_59:
	shr.u32 	%r8, %r34, 1;
	bar.sync 	0;
	setp.ge.u32 	%p74, %r18, %r8;
	@%p74 bra 	$L__BB0_72;

	mad.lo.s32 	%r9, %r8, 72, %r4;
	ld.shared.f64 	%fd102, [%r4];
	ld.shared.f64 	%fd103, [%r9];
	add.f64 	%fd104, %fd103, %fd102;
	st.shared.f64 	[%r4], %fd104;
	ld.shared.f64 	%fd105, [%r4+8];
	ld.shared.f64 	%fd106, [%r9+8];
	add.f64 	%fd107, %fd106, %fd105;
	st.shared.f64 	[%r4+8], %fd107;
	ld.shared.f64 	%fd108, [%r4+16];
	ld.shared.f64 	%fd109, [%r9+16];
	add.f64 	%fd110, %fd109, %fd108;
	st.shared.f64 	[%r4+16], %fd110;
	ld.shared.u64 	%rd30, [%r9+64];
	setp.lt.s64 	%p75, %rd30, 0;
	@%p75 bra 	$L__BB0_65;

	ld.shared.u64 	%rd31, [%r4+64];
	setp.lt.s64 	%p76, %rd31, 0;
	@%p76 bra 	$L__BB0_64;

	ld.shared.f64 	%fd55, [%r4+24];
	ld.shared.f64 	%fd56, [%r9+24];
	setp.gt.f64 	%p77, %fd56, %fd55;
	@%p77 bra 	$L__BB0_64;

	setp.neu.f64 	%p78, %fd56, %fd55;
	setp.ge.s64 	%p79, %rd30, %rd31;
	or.pred  	%p80, %p78, %p79;
	@%p80 bra 	$L__BB0_65;

$L__BB0_64:
	st.shared.u64 	[%r4+64], %rd30;

$L__BB0_65:
	ld.shared.f64 	%fd111, [%r4+24];
	ld.shared.f64 	%fd57, [%r9+24];
	setp.leu.f64 	%p81, %fd57, %fd111;
	@%p81 bra 	$L__BB0_67;

	st.shared.f64 	[%r4+24], %fd57;

$L__BB0_67:
	ld.shared.f64 	%fd112, [%r4+32];
	ld.shared.f64 	%fd58, [%r9+32];
	setp.leu.f64 	%p82, %fd58, %fd112;
	@%p82 bra 	$L__BB0_69;

	st.shared.f64 	[%r4+32], %fd58;

$L__BB0_69:
	ld.shared.u64 	%rd96, [%r4+40];
	ld.shared.u64 	%rd97, [%r9+40];
	add.s64 	%rd98, %rd96, %rd97;
	st.shared.u64 	[%r4+40], %rd98;
	ld.shared.u64 	%rd99, [%r4+48];
	ld.shared.u64 	%rd100, [%r9+48];
	add.s64 	%rd101, %rd99, %rd100;
	st.shared.u64 	[%r4+48], %rd101;
	ld.shared.u64 	%rd32, [%r9+56];
	setp.lt.s64 	%p83, %rd32, 0;
	@%p83 bra 	$L__BB0_72;

	ld.shared.u64 	%rd102, [%r4+56];
	setp.gt.s64 	%p84, %rd102, -1;
	setp.ge.s64 	%p85, %rd32, %rd102;
	and.pred  	%p86, %p84, %p85;
	@%p86 bra 	$L__BB0_72;

	st.shared.u64 	[%r4+56], %rd32;

$L__BB0_72:
	shr.u32 	%r34, %r34, 2;
	setp.ne.s32 	%p87, %r34, 0;
	@%p87 bra 	$L__BB0_46;

	setp.ne.s32 	%p88, %r18, 0;
	@%p88 bra 	$L__BB0_75;

	mov.u32 	%r33, %ctaid.x;
	ld.param.u64 	%rd110, [kw_measure_param_2];
	ld.shared.f64 	%fd113, [_ZZ10kw_measureN39_GLOBAL__N__e81ba927_8_judge_cu_kw_hash6ArraysEdPN12kernelwright7referee5TallyEE4room];
	ld.shared.f64 	%fd114, [_ZZ10kw_measureN39_GLOBAL__N__e81ba927_8_judge_cu_kw_hash6ArraysEdPN12kernelwright7referee5TallyEE4room+8];
	ld.shared.f64 	%fd115, [_ZZ10kw_measureN39_GLOBAL__N__e81ba927_8_judge_cu_kw_hash6ArraysEdPN12kernelwright7referee5TallyEE4room+16];
	ld.shared.f64 	%fd116, [_ZZ10kw_measureN39_GLOBAL__N__e81ba927_8_judge_cu_kw_hash6ArraysEdPN12kernelwright7referee5TallyEE4room+24];
	ld.shared.f64 	%fd117, [_ZZ10kw_measureN39_GLOBAL__N__e81ba927_8_judge_cu_kw_hash6ArraysEdPN12kernelwright7referee5TallyEE4room+32];
	ld.shared.u64 	%rd103, [_ZZ10kw_measureN39_GLOBAL__N__e81ba927_8_judge_cu_kw_hash6ArraysEdPN12kernelwright7referee5TallyEE4room+40];
	ld.shared.u64 	%rd104, [_ZZ10kw_measureN39_GLOBAL__N__e81ba927_8_judge_cu_kw_hash6ArraysEdPN12kernelwright7referee5TallyEE4room+48];
	ld.shared.u64 	%rd105, [_ZZ10kw_measureN39_GLOBAL__N__e81ba927_8_judge_cu_kw_hash6ArraysEdPN12kernelwright7referee5TallyEE4room+56];
	ld.shared.u64 	%rd106, [_ZZ10kw_measureN39_GLOBAL__N__e81ba927_8_judge_cu_kw_hash6ArraysEdPN12kernelwright7referee5TallyEE4room+64];
	cvta.to.global.u64 	%rd107, %rd110;
	mul.wide.u32 	%rd108, %r33, 72;
	add.s64 	%rd109, %rd107, %rd108;
	st.global.f64 	[%rd109], %fd113;
	st.global.f64 	[%rd109+8], %fd114;
	st.global.f64 	[%rd109+16], %fd115;
	st.global.f64 	[%rd109+24], %fd116;
	st.global.f64 	[%rd109+32], %fd117;
	st.global.u64 	[%rd109+40], %rd103;
	st.global.u64 	[%rd109+48], %rd104;
	st.global.u64 	[%rd109+56], %rd105;
	st.global.u64 	[%rd109+64], %rd106;

$L__BB0_75:
	ret;

}
.visible .entry kw_find(
	.param .align 8 .b8 kw_find_param_0[48],
	.param .u32 kw_find_param_1,
	.param .f64 kw_find_param_2,
	.param .u64 kw_find_param_3
)
.maxntid 256, 1, 1
{
	.reg .pred 	%p<65>;
	.reg .b16 	%rs<9>;
	.reg .f32 	%f<9>;
	.reg .b32 	%r<20>;
	.reg .f64 	%fd<52>;
	.reg .b64 	%rd<63>;

	ld.param.v2.u32 	{%r6, %r7}, [kw_find_param_0+40];
	ld.param.u32 	%r5, [kw_find_param_1];
	ld.param.f64 	%fd31, [kw_find_param_2];
	ld.param.u64 	%rd16, [kw_find_param_3];
	ld.param.u64 	%rd15, [kw_find_param_0+32];
	ld.param.u64 	%rd14, [kw_find_param_0+24];
	ld.param.u64 	%rd13, [kw_find_param_0+16];
	ld.param.u64 	%rd12, [kw_find_param_0+8];
	ld.param.u64 	%rd11, [kw_find_param_0];
	cvta.to.global.u64 	%rd1, %rd11;
	cvta.to.global.u64 	%rd2, %rd12;
	cvta.to.global.u64 	%rd3, %rd13;
	cvta.to.global.u64 	%rd4, %rd14;
	mov.u32 	%r8, %ctaid.x;
	mov.u32 	%r9, %ntid.x;
	cvt.u64.u32 	%rd5, %r9;
	mul.wide.u32 	%rd17, %r8, %r9;
	mov.u32 	%r10, %tid.x;
	cvt.u64.u32 	%rd18, %r10;
	add.s64 	%rd62, %rd17, %rd18;
	setp.ge.s64 	%p13, %rd62, %rd15;
	@%p13 bra 	$L__BB1_54;

	mov.u32 	%r11, %nctaid.x;
	cvt.u64.u32 	%rd19, %r11;
	mul.lo.s64 	%rd8, %rd19, %rd5;
	cvta.to.global.u64 	%rd58, %rd16;

$L__BB1_2:
	setp.eq.s32 	%p14, %r7, 0;
	@%p14 bra 	$L__BB1_4;

	shl.b64 	%rd20, %rd62, 3;
	add.s64 	%rd21, %rd4, %rd20;
	ld.global.f64 	%fd48, [%rd21];
	bra.uni 	$L__BB1_5;

$L__BB1_4:
	shl.b64 	%rd22, %rd62, 2;
	add.s64 	%rd23, %rd4, %rd22;
	ld.global.f32 	%f1, [%rd23];
	cvt.f64.f32 	%fd48, %f1;

$L__BB1_5:
	sub.f64 	%fd32, %fd48, %fd48;
	setp.neu.f64 	%p15, %fd32, 0d0000000000000000;
	@%p15 bra 	$L__BB1_53;

	setp.gt.s32 	%p16, %r6, 3;
	@%p16 bra 	$L__BB1_14;
	bra.uni 	$L__BB1_7;

$L__BB1_14:
	setp.gt.s32 	%p17, %r6, 5;
	@%p17 bra 	$L__BB1_18;
	bra.uni 	$L__BB1_15;

$L__BB1_18:
	setp.eq.s32 	%p18, %r6, 6;
	@%p18 bra 	$L__BB1_23;

	setp.eq.s32 	%p19, %r6, 7;
	@%p19 bra 	$L__BB1_22;

	setp.ne.s32 	%p20, %r6, 8;
	@%p20 bra 	$L__BB1_27;

	add.s64 	%rd24, %rd1, %rd62;
	ld.global.u8 	%rs1, [%rd24];
	cvt.rn.f64.u16 	%fd49, %rs1;
	add.s64 	%rd25, %rd2, %rd62;
	ld.global.u8 	%rs2, [%rd25];
	cvt.rn.f64.u16 	%fd50, %rs2;
	bra.uni 	$L__BB1_28;

$L__BB1_7:
	setp.gt.s32 	%p23, %r6, 1;
	@%p23 bra 	$L__BB1_11;

	setp.eq.s32 	%p26, %r6, 0;
	@%p26 bra 	$L__BB1_26;

	setp.eq.s32 	%p27, %r6, 1;
	@%p27 bra 	$L__BB1_10;
	bra.uni 	$L__BB1_27;

$L__BB1_10:
	shl.b64 	%rd45, %rd62, 2;
	add.s64 	%rd46, %rd1, %rd45;
	ld.global.f32 	%f6, [%rd46];
	cvt.f64.f32 	%fd49, %f6;
	add.s64 	%rd47, %rd2, %rd45;
	ld.global.f32 	%f7, [%rd47];
	cvt.f64.f32 	%fd50, %f7;
	bra.uni 	$L__BB1_28;

$L__BB1_15:
	setp.eq.s32 	%p21, %r6, 4;
	@%p21 bra 	$L__BB1_24;

	setp.eq.s32 	%p22, %r6, 5;
	@%p22 bra 	$L__BB1_17;
	bra.uni 	$L__BB1_27;

$L__BB1_17:
	shl.b64 	%rd31, %rd62, 2;
	add.s64 	%rd32, %rd1, %rd31;
	ld.global.u32 	%r12, [%rd32];
	cvt.rn.f64.s32 	%fd49, %r12;
	add.s64 	%rd33, %rd2, %rd31;
	ld.global.u32 	%r13, [%rd33];
	cvt.rn.f64.s32 	%fd50, %r13;
	bra.uni 	$L__BB1_28;

$L__BB1_11:
	setp.eq.s32 	%p24, %r6, 2;
	@%p24 bra 	$L__BB1_25;

	setp.eq.s32 	%p25, %r6, 3;
	@%p25 bra 	$L__BB1_13;
	bra.uni 	$L__BB1_27;

$L__BB1_13:
	shl.b64 	%rd39, %rd62, 1;
	add.s64 	%rd40, %rd1, %rd39;
	ld.global.u16 	%r14, [%rd40];
	shl.b32 	%r15, %r14, 16;
	mov.b32 	%f2, %r15;
	cvt.f64.f32 	%fd49, %f2;
	add.s64 	%rd41, %rd2, %rd39;
	ld.global.u16 	%r16, [%rd41];
	shl.b32 	%r17, %r16, 16;
	mov.b32 	%f3, %r17;
	cvt.f64.f32 	%fd50, %f3;
	bra.uni 	$L__BB1_28;

$L__BB1_23:
	shl.b64 	%rd28, %rd62, 1;
	add.s64 	%rd29, %rd1, %rd28;
	ld.global.u16 	%rs5, [%rd29];
	cvt.rn.f64.s16 	%fd49, %rs5;
	add.s64 	%rd30, %rd2, %rd28;
	ld.global.u16 	%rs6, [%rd30];
	cvt.rn.f64.s16 	%fd50, %rs6;
	bra.uni 	$L__BB1_28;

$L__BB1_22:
	add.s64 	%rd26, %rd1, %rd62;
	ld.global.s8 	%rs3, [%rd26];
	cvt.rn.f64.s16 	%fd49, %rs3;
	add.s64 	%rd27, %rd2, %rd62;
	ld.global.s8 	%rs4, [%rd27];
	cvt.rn.f64.s16 	%fd50, %rs4;
	bra.uni 	$L__BB1_28;

$L__BB1_26:
	shl.b64 	%rd48, %rd62, 3;
	add.s64 	%rd49, %rd1, %rd48;
	ld.global.f64 	%fd49, [%rd49];
	add.s64 	%rd50, %rd2, %rd48;
	ld.global.f64 	%fd50, [%rd50];
	bra.uni 	$L__BB1_28;

$L__BB1_24:
	shl.b64 	%rd34, %rd62, 3;
	add.s64 	%rd35, %rd1, %rd34;
	ld.global.u64 	%rd36, [%rd35];
	cvt.rn.f64.s64 	%fd49, %rd36;
	add.s64 	%rd37, %rd2, %rd34;
	ld.global.u64 	%rd38, [%rd37];
	cvt.rn.f64.s64 	%fd50, %rd38;
	bra.uni 	$L__BB1_28;

$L__BB1_25:
	shl.b64 	%rd42, %rd62, 1;
	add.s64 	%rd43, %rd1, %rd42;
	ld.global.u16 	%rs7, [%rd43];
	cvt.f32.f16 %f4, %rs7;
	cvt.f64.f32 	%fd49, %f4;
	add.s64 	%rd44, %rd2, %rd42;
	ld.global.u16 	%rs8, [%rd44];
	cvt.f32.f16 %f5, %rs8;
	cvt.f64.f32 	%fd50, %f5;
	bra.uni 	$L__BB1_28;

$L__BB1_27:
	shl.b64 	%rd51, %rd62, 2;
	add.s64 	%rd52, %rd1, %rd51;
	ld.global.u32 	%r18, [%rd52];
	cvt.rn.f64.u32 	%fd49, %r18;
	add.s64 	%rd53, %rd2, %rd51;
	ld.global.u32 	%r19, [%rd53];
	cvt.rn.f64.u32 	%fd50, %r19;

$L__BB1_28:
	@%p14 bra 	$L__BB1_30;

	shl.b64 	%rd54, %rd62, 3;
	add.s64 	%rd55, %rd3, %rd54;
	ld.global.f64 	%fd51, [%rd55];
	bra.uni 	$L__BB1_31;

$L__BB1_30:
	shl.b64 	%rd56, %rd62, 2;
	add.s64 	%rd57, %rd3, %rd56;
	ld.global.f32 	%f8, [%rd57];
	cvt.f64.f32 	%fd51, %f8;

$L__BB1_31:
	sub.f64 	%fd29, %fd50, %fd50;
	setp.neu.f64 	%p29, %fd29, 0d0000000000000000;
	add.f64 	%fd33, %fd50, %fd51;
	selp.f64 	%fd30, %fd51, %fd33, %p29;
	setp.gt.s32 	%p30, %r5, 1;
	@%p30 bra 	$L__BB1_37;
	bra.uni 	$L__BB1_32;

$L__BB1_37:
	setp.eq.s32 	%p31, %r5, 2;
	@%p31 bra 	$L__BB1_44;

	setp.eq.s32 	%p32, %r5, 3;
	@%p32 bra 	$L__BB1_42;

	setp.ne.s32 	%p33, %r5, 4;
	@%p33 bra 	$L__BB1_52;

	sub.f64 	%fd34, %fd49, %fd49;
	setp.neu.f64 	%p36, %fd34, 0d0000000000000000;
	sub.f64 	%fd35, %fd30, %fd30;
	setp.neu.f64 	%p37, %fd35, 0d0000000000000000;
	or.pred  	%p38, %p36, %p37;
	@%p38 bra 	$L__BB1_53;

	sub.f64 	%fd36, %fd49, %fd30;
	setp.lt.f64 	%p39, %fd36, 0d0000000000000000;
	neg.f64 	%fd37, %fd36;
	selp.f64 	%fd38, %fd37, %fd36, %p39;
	max.f64 	%fd39, %fd48, 0d01A56E1FC2F8F359;
	div.rn.f64 	%fd40, %fd38, %fd39;
	setp.gt.f64 	%p64, %fd40, %fd31;
	bra.uni 	$L__BB1_51;

$L__BB1_32:
	setp.eq.s32 	%p34, %r5, 0;
	@%p34 bra 	$L__BB1_50;

	setp.eq.s32 	%p35, %r5, 1;
	@%p35 bra 	$L__BB1_34;
	bra.uni 	$L__BB1_52;

$L__BB1_34:
	setp.eq.f64 	%p56, %fd49, %fd50;
	@%p56 bra 	$L__BB1_53;

	setp.num.f64 	%p57, %fd49, %fd49;
	@%p57 bra 	$L__BB1_52;

	setp.num.f64 	%p64, %fd50, %fd50;
	bra.uni 	$L__BB1_51;

$L__BB1_44:
	setp.nan.f64 	%p42, %fd49, %fd49;
	setp.nan.f64 	%p43, %fd30, %fd30;
	and.pred  	%p62, %p42, %p43;
	setp.nan.f64 	%p44, %fd49, %fd30;
	@%p44 bra 	$L__BB1_46;

	sub.f64 	%fd45, %fd49, %fd49;
	setp.eq.f64 	%p45, %fd45, 0d0000000000000000;
	sub.f64 	%fd46, %fd30, %fd30;
	setp.eq.f64 	%p46, %fd46, 0d0000000000000000;
	and.pred  	%p47, %p45, %p46;
	setp.eq.f64 	%p48, %fd49, %fd30;
	or.pred  	%p62, %p48, %p47;

$L__BB1_46:
	@%p62 bra 	$L__BB1_53;

	setp.nan.f64 	%p50, %fd50, %fd50;
	and.pred  	%p63, %p42, %p50;
	setp.nan.f64 	%p51, %fd49, %fd50;
	@%p51 bra 	$L__BB1_49;

	sub.f64 	%fd47, %fd49, %fd49;
	setp.eq.f64 	%p52, %fd47, 0d0000000000000000;
	setp.eq.f64 	%p53, %fd29, 0d0000000000000000;
	and.pred  	%p54, %p52, %p53;
	setp.eq.f64 	%p55, %fd49, %fd50;
	or.pred  	%p63, %p55, %p54;

$L__BB1_49:
	not.pred 	%p64, %p63;
	bra.uni 	$L__BB1_51;

$L__BB1_42:
	sub.f64 	%fd41, %fd49, %fd30;
	setp.lt.f64 	%p40, %fd41, 0d0000000000000000;
	neg.f64 	%fd42, %fd41;
	selp.f64 	%fd43, %fd42, %fd41, %p40;
	setp.lt.f64 	%p41, %fd43, %fd31;
	@%p41 bra 	$L__BB1_53;

	sub.f64 	%fd44, %fd30, %fd30;
	setp.eq.f64 	%p64, %fd44, 0d0000000000000000;
	bra.uni 	$L__BB1_51;

$L__BB1_50:
	setp.neu.f64 	%p58, %fd49, %fd50;
	setp.neu.f64 	%p59, %fd49, %fd30;
	and.pred  	%p64, %p58, %p59;

$L__BB1_51:
	not.pred 	%p60, %p64;
	@%p60 bra 	$L__BB1_53;

$L__BB1_52:
	atom.global.min.u64 	%rd59, [%rd58], %rd62;
	add.s64 	%rd60, %rd58, 8;
	atom.global.add.u64 	%rd61, [%rd60], 1;

$L__BB1_53:
	add.s64 	%rd62, %rd62, %rd8;
	setp.lt.s64 	%p61, %rd62, %rd15;
	@%p61 bra 	$L__BB1_2;

$L__BB1_54:
	ret;

}
.visible .entry kw_element(
	.param .align 8 .b8 kw_element_param_0[48],
	.param .u64 kw_element_param_1,
	.param .u64 kw_element_param_2
)
{
	.reg .pred 	%p<27>;
	.reg .b16 	%rs<9>;
	.reg .f32 	%f<8>;
	.reg .b32 	%r<14>;
	.reg .f64 	%fd<32>;
	.reg .b64 	%rd<32>;

	ld.param.v2.u32 	{%r4, %r5}, [kw_element_param_0+40];
	ld.param.u64 	%rd16, [kw_element_param_1];
	ld.param.u64 	%rd17, [kw_element_param_2];
	ld.param.u64 	%rd13, [kw_element_param_0+16];
	ld.param.u64 	%rd12, [kw_element_param_0+8];
	ld.param.u64 	%rd11, [kw_element_param_0];
	cvta.to.global.u64 	%rd1, %rd17;
	cvta.to.global.u64 	%rd18, %rd11;
	cvta.to.global.u64 	%rd2, %rd13;
	add.s64 	%rd3, %rd18, %rd16;
	shl.b64 	%rd19, %rd16, 1;
	add.s64 	%rd4, %rd18, %rd19;
	shl.b64 	%rd20, %rd16, 2;
	add.s64 	%rd5, %rd18, %rd20;
	shl.b64 	%rd21, %rd16, 3;
	add.s64 	%rd6, %rd18, %rd21;
	setp.gt.s32 	%p1, %r4, 3;
	@%p1 bra 	$L__BB2_8;
	bra.uni 	$L__BB2_1;

$L__BB2_8:
	setp.gt.s32 	%p2, %r4, 5;
	@%p2 bra 	$L__BB2_12;
	bra.uni 	$L__BB2_9;

$L__BB2_12:
	setp.eq.s32 	%p3, %r4, 6;
	@%p3 bra 	$L__BB2_17;

	setp.eq.s32 	%p4, %r4, 7;
	@%p4 bra 	$L__BB2_16;

	setp.ne.s32 	%p5, %r4, 8;
	@%p5 bra 	$L__BB2_21;

	ld.global.u8 	%rs1, [%rd3];
	cvt.rn.f64.u16 	%fd29, %rs1;
	bra.uni 	$L__BB2_22;

$L__BB2_1:
	setp.gt.s32 	%p8, %r4, 1;
	@%p8 bra 	$L__BB2_5;

	setp.eq.s32 	%p11, %r4, 0;
	@%p11 bra 	$L__BB2_20;

	setp.eq.s32 	%p12, %r4, 1;
	@%p12 bra 	$L__BB2_4;
	bra.uni 	$L__BB2_21;

$L__BB2_4:
	ld.global.f32 	%f3, [%rd5];
	cvt.f64.f32 	%fd29, %f3;
	bra.uni 	$L__BB2_22;

$L__BB2_9:
	setp.eq.s32 	%p6, %r4, 4;
	@%p6 bra 	$L__BB2_18;

	setp.eq.s32 	%p7, %r4, 5;
	@%p7 bra 	$L__BB2_11;
	bra.uni 	$L__BB2_21;

$L__BB2_11:
	ld.global.u32 	%r6, [%rd5];
	cvt.rn.f64.s32 	%fd29, %r6;
	bra.uni 	$L__BB2_22;

$L__BB2_5:
	setp.eq.s32 	%p9, %r4, 2;
	@%p9 bra 	$L__BB2_19;

	setp.eq.s32 	%p10, %r4, 3;
	@%p10 bra 	$L__BB2_7;
	bra.uni 	$L__BB2_21;

$L__BB2_7:
	ld.global.u16 	%r7, [%rd4];
	shl.b32 	%r8, %r7, 16;
	mov.b32 	%f1, %r8;
	cvt.f64.f32 	%fd29, %f1;
	bra.uni 	$L__BB2_22;

$L__BB2_17:
	ld.global.u16 	%rs3, [%rd4];
	cvt.rn.f64.s16 	%fd29, %rs3;
	bra.uni 	$L__BB2_22;

$L__BB2_16:
	ld.global.s8 	%rs2, [%rd3];
	cvt.rn.f64.s16 	%fd29, %rs2;
	bra.uni 	$L__BB2_22;

$L__BB2_20:
	ld.global.f64 	%fd29, [%rd6];
	bra.uni 	$L__BB2_22;

$L__BB2_18:
	ld.global.u64 	%rd22, [%rd6];
	cvt.rn.f64.s64 	%fd29, %rd22;
	bra.uni 	$L__BB2_22;

$L__BB2_19:
	ld.global.u16 	%rs4, [%rd4];
	cvt.f32.f16 %f2, %rs4;
	cvt.f64.f32 	%fd29, %f2;
	bra.uni 	$L__BB2_22;

$L__BB2_21:
	ld.global.u32 	%r9, [%rd5];
	cvt.rn.f64.u32 	%fd29, %r9;

$L__BB2_22:
	cvta.to.global.u64 	%rd23, %rd12;
	st.global.f64 	[%rd1], %fd29;
	add.s64 	%rd7, %rd23, %rd16;
	add.s64 	%rd8, %rd23, %rd19;
	add.s64 	%rd9, %rd23, %rd20;
	add.s64 	%rd10, %rd23, %rd21;
	@%p1 bra 	$L__BB2_30;
	bra.uni 	$L__BB2_23;

$L__BB2_30:
	setp.gt.s32 	%p14, %r4, 5;
	@%p14 bra 	$L__BB2_34;
	bra.uni 	$L__BB2_31;

$L__BB2_34:
	setp.eq.s32 	%p15, %r4, 6;
	@%p15 bra 	$L__BB2_39;

	setp.eq.s32 	%p16, %r4, 7;
	@%p16 bra 	$L__BB2_38;

	setp.ne.s32 	%p17, %r4, 8;
	@%p17 bra 	$L__BB2_43;

	ld.global.u8 	%rs5, [%rd7];
	cvt.rn.f64.u16 	%fd30, %rs5;
	bra.uni 	$L__BB2_44;

$L__BB2_23:
	setp.gt.s32 	%p20, %r4, 1;
	@%p20 bra 	$L__BB2_27;

	setp.eq.s32 	%p23, %r4, 0;
	@%p23 bra 	$L__BB2_42;

	setp.eq.s32 	%p24, %r4, 1;
	@%p24 bra 	$L__BB2_26;
	bra.uni 	$L__BB2_43;

$L__BB2_26:
	ld.global.f32 	%f6, [%rd9];
	cvt.f64.f32 	%fd30, %f6;
	bra.uni 	$L__BB2_44;

$L__BB2_31:
	setp.eq.s32 	%p18, %r4, 4;
	@%p18 bra 	$L__BB2_40;

	setp.eq.s32 	%p19, %r4, 5;
	@%p19 bra 	$L__BB2_33;
	bra.uni 	$L__BB2_43;

$L__BB2_33:
	ld.global.u32 	%r10, [%rd9];
	cvt.rn.f64.s32 	%fd30, %r10;
	bra.uni 	$L__BB2_44;

$L__BB2_27:
	setp.eq.s32 	%p21, %r4, 2;
	@%p21 bra 	$L__BB2_41;

	setp.eq.s32 	%p22, %r4, 3;
	@%p22 bra 	$L__BB2_29;
	bra.uni 	$L__BB2_43;

$L__BB2_29:
	ld.global.u16 	%r11, [%rd8];
	shl.b32 	%r12, %r11, 16;
	mov.b32 	%f4, %r12;
	cvt.f64.f32 	%fd30, %f4;
	bra.uni 	$L__BB2_44;

$L__BB2_39:
	ld.global.u16 	%rs7, [%rd8];
	cvt.rn.f64.s16 	%fd30, %rs7;
	bra.uni 	$L__BB2_44;

$L__BB2_38:
	ld.global.s8 	%rs6, [%rd7];
	cvt.rn.f64.s16 	%fd30, %rs6;
	bra.uni 	$L__BB2_44;

$L__BB2_42:
	ld.global.f64 	%fd30, [%rd10];
	bra.uni 	$L__BB2_44;

$L__BB2_40:
	ld.global.u64 	%rd27, [%rd10];
	cvt.rn.f64.s64 	%fd30, %rd27;
	bra.uni 	$L__BB2_44;

$L__BB2_41:
	ld.global.u16 	%rs8, [%rd8];
	cvt.f32.f16 %f5, %rs8;
	cvt.f64.f32 	%fd30, %f5;
	bra.uni 	$L__BB2_44;

$L__BB2_43:
	ld.global.u32 	%r13, [%rd9];
	cvt.rn.f64.u32 	%fd30, %r13;

$L__BB2_44:
	st.global.f64 	[%rd1+8], %fd30;
	setp.eq.s32 	%p25, %r5, 0;
	@%p25 bra 	$L__BB2_46;

	add.s64 	%rd29, %rd2, %rd21;
	ld.global.f64 	%fd31, [%rd29];
	bra.uni 	$L__BB2_47;

$L__BB2_46:
	add.s64 	%rd31, %rd2, %rd20;
	ld.global.f32 	%f7, [%rd31];
	cvt.f64.f32 	%fd31, %f7;

$L__BB2_47:
	sub.f64 	%fd26, %fd30, %fd30;
	setp.neu.f64 	%p26, %fd26, 0d0000000000000000;
	add.f64 	%fd27, %fd30, %fd31;
	selp.f64 	%fd28, %fd31, %fd27, %p26;
	st.global.f64 	[%rd1+16], %fd28;
	ret;

}
.visible .entry kw_hash(
	.param .u64 kw_hash_param_0,
	.param .u64 kw_hash_param_1,
	.param .u64 kw_hash_param_2
)
.maxntid 256, 1, 1
{
	.reg .pred 	%p<22>;
	.reg .b32 	%r<41>;
	.reg .b64 	%rd<211>;

	ld.param.u64 	%rd67, [kw_hash_param_0];
	ld.param.u64 	%rd64, [kw_hash_param_1];
	ld.param.u64 	%rd65, [kw_hash_param_2];
	cvta.to.global.u64 	%rd1, %rd67;
	mov.u32 	%r1, %ctaid.x;
	mov.u32 	%r2, %ntid.x;
	cvt.u64.u32 	%rd2, %r2;
	mul.wide.u32 	%rd68, %r1, %r2;
	mov.u32 	%r3, %tid.x;
	cvt.u64.u32 	%rd3, %r3;
	add.s64 	%rd4, %rd68, %rd3;
	shr.u64 	%rd5, %rd64, 3;
	setp.ge.u64 	%p1, %rd4, %rd5;
	mov.u64 	%rd206, 0;
	@%p1 bra 	$L__BB3_10;

	mov.u32 	%r4, %nctaid.x;
	cvt.u64.u32 	%rd69, %r4;
	mul.lo.s64 	%rd6, %rd69, %rd2;
	not.b64 	%rd70, %rd4;
	add.s64 	%rd7, %rd5, %rd70;
	or.b64  	%rd71, %rd7, %rd6;
	and.b64  	%rd72, %rd71, -4294967296;
	setp.eq.s64 	%p2, %rd72, 0;
	@%p2 bra 	$L__BB3_3;

	div.u64 	%rd190, %rd7, %rd6;
	bra.uni 	$L__BB3_4;

$L__BB3_3:
	cvt.u32.u64 	%r5, %rd6;
	cvt.u32.u64 	%r6, %rd7;
	div.u32 	%r7, %r6, %r5;
	cvt.u64.u32 	%rd190, %r7;

$L__BB3_4:
	add.s64 	%rd11, %rd190, 1;
	and.b64  	%rd205, %rd11, 3;
	setp.lt.u64 	%p3, %rd190, 3;
	mov.u64 	%rd206, 0;
	mov.u64 	%rd200, %rd4;
	@%p3 bra 	$L__BB3_7;

	sub.s64 	%rd198, %rd11, %rd205;
	shl.b64 	%rd76, %rd4, 3;
	add.s64 	%rd195, %rd1, %rd76;
	shl.b64 	%rd15, %rd6, 3;
	mul.lo.s64 	%rd77, %rd4, 7046029254386353131;
	mov.u64 	%rd78, -7046029254386353131;
	sub.s64 	%rd194, %rd78, %rd77;
	mul.lo.s64 	%rd17, %rd6, 8709371129873690708;
	mul.wide.u32 	%rd80, %r4, 3;
	cvt.u64.u32 	%rd81, %r1;
	add.s64 	%rd82, %rd80, %rd81;
	mul.lo.s64 	%rd84, %rd82, %rd2;
	mul.lo.s64 	%rd85, %rd84, 7046029254386353131;
	sub.s64 	%rd86, %rd78, %rd85;
	mul.lo.s64 	%rd87, %rd3, 7046029254386353131;
	sub.s64 	%rd193, %rd86, %rd87;
	mul.wide.u32 	%rd88, %r4, 2;
	add.s64 	%rd89, %rd88, %rd81;
	mul.lo.s64 	%rd90, %rd89, %rd2;
	mul.lo.s64 	%rd91, %rd90, 7046029254386353131;
	sub.s64 	%rd92, %rd78, %rd91;
	sub.s64 	%rd192, %rd92, %rd87;
	add.s64 	%rd93, %rd69, %rd81;
	mul.lo.s64 	%rd94, %rd93, %rd2;
	add.s64 	%rd95, %rd94, %rd3;
	mul.lo.s64 	%rd96, %rd95, 7046029254386353131;
	sub.s64 	%rd191, %rd78, %rd96;
	mov.u64 	%rd206, 0;
	mov.u64 	%rd200, %rd4;

$L__BB3_6:
	ld.global.u64 	%rd97, [%rd195];
	xor.b64  	%rd98, %rd97, %rd194;
	shr.u64 	%rd99, %rd98, 32;
	xor.b64  	%rd100, %rd99, %rd98;
	mul.lo.s64 	%rd101, %rd100, -2960836687051489901;
	shr.u64 	%rd102, %rd101, 29;
	xor.b64  	%rd103, %rd102, %rd101;
	mul.lo.s64 	%rd104, %rd103, -4658895280553007687;
	shr.u64 	%rd105, %rd104, 32;
	xor.b64  	%rd106, %rd105, %rd104;
	add.s64 	%rd107, %rd106, %rd206;
	add.s64 	%rd108, %rd195, %rd15;
	ld.global.u64 	%rd109, [%rd108];
	xor.b64  	%rd110, %rd109, %rd191;
	shr.u64 	%rd111, %rd110, 32;
	xor.b64  	%rd112, %rd111, %rd110;
	mul.lo.s64 	%rd113, %rd112, -2960836687051489901;
	shr.u64 	%rd114, %rd113, 29;
	xor.b64  	%rd115, %rd114, %rd113;
	mul.lo.s64 	%rd116, %rd115, -4658895280553007687;
	shr.u64 	%rd117, %rd116, 32;
	xor.b64  	%rd118, %rd117, %rd116;
	add.s64 	%rd119, %rd118, %rd107;
	add.s64 	%rd120, %rd200, %rd6;
	add.s64 	%rd121, %rd120, %rd6;
	add.s64 	%rd122, %rd108, %rd15;
	ld.global.u64 	%rd123, [%rd122];
	xor.b64  	%rd124, %rd123, %rd192;
	shr.u64 	%rd125, %rd124, 32;
	xor.b64  	%rd126, %rd125, %rd124;
	mul.lo.s64 	%rd127, %rd126, -2960836687051489901;
	shr.u64 	%rd128, %rd127, 29;
	xor.b64  	%rd129, %rd128, %rd127;
	mul.lo.s64 	%rd130, %rd129, -4658895280553007687;
	shr.u64 	%rd131, %rd130, 32;
	xor.b64  	%rd132, %rd131, %rd130;
	add.s64 	%rd133, %rd132, %rd119;
	add.s64 	%rd134, %rd121, %rd6;
	add.s64 	%rd135, %rd122, %rd15;
	add.s64 	%rd195, %rd135, %rd15;
	ld.global.u64 	%rd136, [%rd135];
	xor.b64  	%rd137, %rd136, %rd193;
	shr.u64 	%rd138, %rd137, 32;
	xor.b64  	%rd139, %rd138, %rd137;
	mul.lo.s64 	%rd140, %rd139, -2960836687051489901;
	shr.u64 	%rd141, %rd140, 29;
	xor.b64  	%rd142, %rd141, %rd140;
	mul.lo.s64 	%rd143, %rd142, -4658895280553007687;
	shr.u64 	%rd144, %rd143, 32;
	xor.b64  	%rd145, %rd144, %rd143;
	add.s64 	%rd206, %rd145, %rd133;
	add.s64 	%rd200, %rd134, %rd6;
	add.s64 	%rd194, %rd194, %rd17;
	add.s64 	%rd193, %rd193, %rd17;
	add.s64 	%rd192, %rd192, %rd17;
	add.s64 	%rd191, %rd191, %rd17;
	add.s64 	%rd198, %rd198, -4;
	setp.ne.s64 	%p4, %rd198, 0;
	@%p4 bra 	$L__BB3_6;

$L__BB3_7:
	setp.eq.s64 	%p5, %rd205, 0;
	@%p5 bra 	$L__BB3_10;

	mul.lo.s64 	%rd146, %rd200, 7046029254386353131;
	mov.u64 	%rd147, -7046029254386353131;
	sub.s64 	%rd203, %rd147, %rd146;
	mul.lo.s64 	%rd41, %rd6, 7046029254386353131;
	shl.b64 	%rd148, %rd200, 3;
	add.s64 	%rd202, %rd1, %rd148;
	shl.b64 	%rd43, %rd6, 3;

$L__BB3_9:
	.pragma "nounroll";
	ld.global.u64 	%rd149, [%rd202];
	xor.b64  	%rd150, %rd149, %rd203;
	shr.u64 	%rd151, %rd150, 32;
	xor.b64  	%rd152, %rd151, %rd150;
	mul.lo.s64 	%rd153, %rd152, -2960836687051489901;
	shr.u64 	%rd154, %rd153, 29;
	xor.b64  	%rd155, %rd154, %rd153;
	mul.lo.s64 	%rd156, %rd155, -4658895280553007687;
	shr.u64 	%rd157, %rd156, 32;
	xor.b64  	%rd158, %rd157, %rd156;
	add.s64 	%rd206, %rd158, %rd206;
	sub.s64 	%rd203, %rd203, %rd41;
	add.s64 	%rd202, %rd202, %rd43;
	add.s64 	%rd205, %rd205, -1;
	setp.ne.s64 	%p6, %rd205, 0;
	@%p6 bra 	$L__BB3_9;

$L__BB3_10:
	and.b64  	%rd53, %rd64, 7;
	setp.eq.s64 	%p7, %rd53, 0;
	setp.ne.s64 	%p8, %rd4, 0;
	or.pred  	%p9, %p8, %p7;
	@%p9 bra 	$L__BB3_14;

	and.b64  	%rd162, %rd64, -8;
	add.s64 	%rd54, %rd1, %rd162;
	mov.u64 	%rd207, 0;
	mov.u64 	%rd208, %rd207;
	mov.u64 	%rd209, %rd207;

$L__BB3_12:
	add.s64 	%rd163, %rd54, %rd208;
	ld.global.u8 	%rd164, [%rd163];
	cvt.u32.u64 	%r11, %rd207;
	shl.b64 	%rd165, %rd164, %r11;
	or.b64  	%rd209, %rd165, %rd209;
	add.s64 	%rd207, %rd207, 8;
	add.s64 	%rd208, %rd208, 1;
	setp.lt.u64 	%p10, %rd208, %rd53;
	@%p10 bra 	$L__BB3_12;

	mul.lo.s64 	%rd167, %rd5, -7046029254386353131;
	add.s64 	%rd168, %rd167, -7046029254386353131;
	xor.b64  	%rd169, %rd209, %rd168;
	shr.u64 	%rd170, %rd169, 32;
	xor.b64  	%rd171, %rd170, %rd169;
	mul.lo.s64 	%rd172, %rd171, -2960836687051489901;
	shr.u64 	%rd173, %rd172, 29;
	xor.b64  	%rd174, %rd173, %rd172;
	mul.lo.s64 	%rd175, %rd174, -4658895280553007687;
	shr.u64 	%rd176, %rd175, 32;
	xor.b64  	%rd177, %rd176, %rd175;
	add.s64 	%rd206, %rd177, %rd206;

$L__BB3_14:
	mov.b64 {%r12,%r13}, %rd206;
	mov.u32 	%r32, 31;
	mov.u32 	%r33, 16;
	mov.u32 	%r34, -1;
	shfl.sync.bfly.b32 	%r15|%p11, %r13, %r33, %r32, %r34;
	shfl.sync.bfly.b32 	%r14|%p12, %r12, %r33, %r32, %r34;
	mov.b64 %rd179, {%r14,%r15};
	add.s64 	%rd180, %rd179, %rd206;
	mov.b64 {%r16,%r17}, %rd180;
	mov.u32 	%r35, 8;
	shfl.sync.bfly.b32 	%r19|%p13, %r17, %r35, %r32, %r34;
	shfl.sync.bfly.b32 	%r18|%p14, %r16, %r35, %r32, %r34;
	mov.b64 %rd181, {%r18,%r19};
	add.s64 	%rd182, %rd181, %rd180;
	mov.b64 {%r20,%r21}, %rd182;
	mov.u32 	%r36, 4;
	shfl.sync.bfly.b32 	%r23|%p15, %r21, %r36, %r32, %r34;
	shfl.sync.bfly.b32 	%r22|%p16, %r20, %r36, %r32, %r34;
	mov.b64 %rd183, {%r22,%r23};
	add.s64 	%rd184, %rd183, %rd182;
	mov.b64 {%r24,%r25}, %rd184;
	mov.u32 	%r37, 2;
	shfl.sync.bfly.b32 	%r27|%p17, %r25, %r37, %r32, %r34;
	shfl.sync.bfly.b32 	%r26|%p18, %r24, %r37, %r32, %r34;
	mov.b64 %rd185, {%r26,%r27};
	add.s64 	%rd186, %rd185, %rd184;
	mov.b64 {%r28,%r29}, %rd186;
	mov.u32 	%r38, 1;
	shfl.sync.bfly.b32 	%r31|%p19, %r29, %r38, %r32, %r34;
	shfl.sync.bfly.b32 	%r30|%p20, %r28, %r38, %r32, %r34;
	mov.b64 %rd187, {%r30,%r31};
	add.s64 	%rd63, %rd187, %rd186;
	cvt.u32.u64 	%r39, %rd3;
	and.b32  	%r40, %r39, 31;
	setp.ne.s32 	%p21, %r40, 0;
	@%p21 bra 	$L__BB3_16;

	cvta.to.global.u64 	%rd188, %rd65;
	atom.global.add.u64 	%rd189, [%rd188], %rd63;

$L__BB3_16:
	ret;

}
.visible .entry kw_bands(
	.param .u64 kw_bands_param_0,
	.param .u64 kw_bands_param_1,
	.param .u64 kw_bands_param_2,
	.param .u64 kw_bands_param_3,
	.param .u64 kw_bands_param_4,
	.param .u64 kw_bands_param_5,
	.param .u64 kw_bands_param_6
)
.maxntid 256, 1, 1
{
	.reg .pred 	%p<9>;
	.reg .b16 	%rs<4>;
	.reg .b32 	%r<14>;
	.reg .b64 	%rd<72>;

	ld.param.u64 	%rd14, [kw_bands_param_0];
	ld.param.u64 	%rd15, [kw_bands_param_1];
	ld.param.u64 	%rd16, [kw_bands_param_2];
	ld.param.u64 	%rd20, [kw_bands_param_3];
	ld.param.u64 	%rd17, [kw_bands_param_4];
	ld.param.u64 	%rd18, [kw_bands_param_5];
	ld.param.u64 	%rd19, [kw_bands_param_6];
	sub.s64 	%rd21, %rd15, %rd16;
	add.s64 	%rd1, %rd21, %rd20;
	mov.u32 	%r1, %ctaid.x;
	mov.u32 	%r2, %ntid.x;
	cvt.u64.u32 	%rd2, %r2;
	mul.wide.u32 	%rd22, %r1, %r2;
	mov.u32 	%r3, %tid.x;
	cvt.u64.u32 	%rd23, %r3;
	add.s64 	%rd71, %rd22, %rd23;
	setp.ge.u64 	%p1, %rd71, %rd1;
	@%p1 bra 	$L__BB4_10;

	mov.u32 	%r4, %nctaid.x;
	cvt.u64.u32 	%rd24, %r4;
	mul.lo.s64 	%rd4, %rd24, %rd2;
	setp.eq.s64 	%p2, %rd19, 0;
	@%p2 bra 	$L__BB4_8;

	add.s64 	%rd70, %rd22, %rd23;
	sub.s64 	%rd6, %rd16, %rd15;

$L__BB4_3:
	setp.lt.u64 	%p3, %rd70, %rd15;
	selp.b64 	%rd27, 0, %rd6, %p3;
	add.s64 	%rd8, %rd70, %rd27;
	add.s64 	%rd28, %rd8, %rd17;
	and.b64  	%rd29, %rd28, -8;
	mul.lo.s64 	%rd30, %rd29, -7046029254386353131;
	add.s64 	%rd31, %rd30, %rd18;
	shr.u64 	%rd32, %rd31, 30;
	xor.b64  	%rd33, %rd32, %rd31;
	mul.lo.s64 	%rd34, %rd33, -4658895280553007687;
	shr.u64 	%rd35, %rd34, 27;
	xor.b64  	%rd36, %rd35, %rd34;
	mul.lo.s64 	%rd37, %rd36, -7723592293110705685;
	shr.u64 	%rd38, %rd37, 31;
	xor.b64  	%rd39, %rd38, %rd37;
	or.b64  	%rd40, %rd39, 9205357640488583168;
	cvt.u32.u64 	%r8, %rd28;
	shl.b32 	%r9, %r8, 3;
	and.b32  	%r10, %r9, 56;
	shr.u64 	%rd41, %rd40, %r10;
	cvta.to.global.u64 	%rd42, %rd14;
	add.s64 	%rd43, %rd42, %rd8;
	cvt.u16.u64 	%rs1, %rd41;
	and.b16  	%rs2, %rs1, 255;
	ld.global.u8 	%rs3, [%rd43];
	setp.eq.s16 	%p4, %rs3, %rs2;
	@%p4 bra 	$L__BB4_7;

	setp.lt.u64 	%p5, %rd8, %rd15;
	@%p5 bra 	$L__BB4_6;
	bra.uni 	$L__BB4_5;

$L__BB4_6:
	sub.s64 	%rd50, %rd15, %rd8;
	cvta.to.global.u64 	%rd51, %rd19;
	atom.global.min.u64 	%rd52, [%rd51], %rd50;
	bra.uni 	$L__BB4_7;

$L__BB4_5:
	mov.u64 	%rd44, 1;
	sub.s64 	%rd45, %rd44, %rd16;
	add.s64 	%rd46, %rd45, %rd8;
	cvta.to.global.u64 	%rd47, %rd19;
	add.s64 	%rd48, %rd47, 8;
	atom.global.min.u64 	%rd49, [%rd48], %rd46;

$L__BB4_7:
	add.s64 	%rd70, %rd70, %rd4;
	setp.lt.u64 	%p6, %rd70, %rd1;
	@%p6 bra 	$L__BB4_3;
	bra.uni 	$L__BB4_10;

$L__BB4_8:
	cvta.to.global.u64 	%rd10, %rd14;
	sub.s64 	%rd11, %rd16, %rd15;

$L__BB4_9:
	setp.lt.u64 	%p7, %rd71, %rd15;
	selp.b64 	%rd53, 0, %rd11, %p7;
	add.s64 	%rd54, %rd71, %rd53;
	add.s64 	%rd55, %rd54, %rd17;
	and.b64  	%rd56, %rd55, -8;
	mul.lo.s64 	%rd57, %rd56, -7046029254386353131;
	add.s64 	%rd58, %rd57, %rd18;
	shr.u64 	%rd59, %rd58, 30;
	xor.b64  	%rd60, %rd59, %rd58;
	mul.lo.s64 	%rd61, %rd60, -4658895280553007687;
	shr.u64 	%rd62, %rd61, 27;
	xor.b64  	%rd63, %rd62, %rd61;
	mul.lo.s64 	%rd64, %rd63, -7723592293110705685;
	shr.u64 	%rd65, %rd64, 31;
	xor.b64  	%rd66, %rd65, %rd64;
	or.b64  	%rd67, %rd66, 9205357640488583168;
	cvt.u32.u64 	%r11, %rd55;
	shl.b32 	%r12, %r11, 3;
	and.b32  	%r13, %r12, 56;
	shr.u64 	%rd68, %rd67, %r13;
	add.s64 	%rd69, %rd10, %rd54;
	st.global.u8 	[%rd69], %rd68;
	add.s64 	%rd71, %rd71, %rd4;
	setp.lt.u64 	%p8, %rd71, %rd1;
	@%p8 bra 	$L__BB4_9;

$L__BB4_10:
	ret;

}

)ptx";
inline constexpr char kDelayPtx[] = R"ptx(

.version 7.0
.target sm_75
.address_size 64

.visible .entry kw_delay(
	.param .u64 kw_delay_param_0
)
{
	.reg .pred 	%p<2>;
	.reg .b64 	%rd<6>;

	ld.param.u64 	%rd2, [kw_delay_param_0];
	mov.u64 %rd3, %globaltimer;

$L__BB0_1:
	mov.u64 %rd4, %globaltimer;
	sub.s64 	%rd5, %rd4, %rd3;
	setp.lt.u64 	%p1, %rd5, %rd2;
	@%p1 bra 	$L__BB0_1;

	ret;

}

)ptx";
// clang-format on

}  // namespace kernelwright::referee
