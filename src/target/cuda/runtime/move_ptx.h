// SPDX-License-Identifier: Apache-2.0
// Written by scripts/move-ptx from move.cu.
#pragma once

namespace kernelwright::cuda {

// clang-format off
inline constexpr char kMovePtx[] = R"ptx(

.version 7.0
.target sm_75
.address_size 64

.visible .entry kw_move(
	.param .align 8 .b8 kw_move_param_0[240]
)
.maxntid 256, 1, 1
{
	.reg .pred 	%p<17>;
	.reg .b16 	%rs<9>;
	.reg .b32 	%r<27>;
	.reg .b64 	%rd<63>;

	mov.b64 	%rd27, kw_move_param_0;
	mov.u32 	%r8, %ntid.x;
	mov.u32 	%r9, %ctaid.x;
	mul.wide.u32 	%rd28, %r9, %r8;
	mov.u32 	%r10, %tid.x;
	cvt.u64.u32 	%rd29, %r10;
	add.s64 	%rd53, %rd28, %rd29;
	ld.param.u64 	%rd30, [kw_move_param_0+32];
	setp.ge.s64 	%p1, %rd53, %rd30;
	@%p1 bra 	$L__BB0_30;

$L__BB0_1:
	ld.param.u64 	%rd20, [%rd27];
	ld.param.u64 	%rd4, [%rd27+8];
	ld.param.u32 	%r1, [%rd27+40];
	setp.lt.s32 	%p2, %r1, 1;
	mov.u64 	%rd59, %rd4;
	@%p2 bra 	$L__BB0_9;

	mul.wide.s32 	%rd33, %r1, 2;
	shl.b64 	%rd34, %rd33, 2;
	add.s64 	%rd35, %rd27, %rd34;
	add.s64 	%rd54, %rd35, 40;
	add.s32 	%r25, %r1, 1;
	mov.u64 	%rd59, %rd4;
	mov.u64 	%rd57, %rd53;

$L__BB0_3:
	.pragma "nounroll";
	ld.param.u64 	%rd11, [%rd54];
	or.b64  	%rd36, %rd57, %rd11;
	and.b64  	%rd37, %rd36, -4294967296;
	setp.eq.s64 	%p3, %rd37, 0;
	@%p3 bra 	$L__BB0_5;

	div.s64 	%rd58, %rd57, %rd11;
	bra.uni 	$L__BB0_6;

$L__BB0_5:
	cvt.u32.u64 	%r11, %rd11;
	cvt.u32.u64 	%r12, %rd57;
	div.u32 	%r13, %r12, %r11;
	cvt.u64.u32 	%rd58, %r13;

$L__BB0_6:
	mul.lo.s64 	%rd38, %rd58, %rd11;
	sub.s64 	%rd15, %rd57, %rd38;
	ld.param.u64 	%rd39, [%rd54+64];
	mul.lo.s64 	%rd40, %rd15, %rd39;
	add.s64 	%rd20, %rd40, %rd20;
	setp.eq.s64 	%p4, %rd4, 0;
	@%p4 bra 	$L__BB0_8;

	ld.param.u64 	%rd41, [%rd54+128];
	mul.lo.s64 	%rd42, %rd41, %rd15;
	add.s64 	%rd59, %rd42, %rd59;

$L__BB0_8:
	add.s64 	%rd54, %rd54, -8;
	add.s32 	%r25, %r25, -1;
	setp.gt.s32 	%p5, %r25, 1;
	mov.u64 	%rd57, %rd58;
	@%p5 bra 	$L__BB0_3;

$L__BB0_9:
	add.s64 	%rd22, %rd27, 32;
	ld.param.u32 	%r14, [%rd27+44];
	setp.gt.s32 	%p6, %r14, 3;
	@%p6 bra 	$L__BB0_15;

	setp.eq.s32 	%p9, %r14, 1;
	@%p9 bra 	$L__BB0_23;

	setp.eq.s32 	%p10, %r14, 2;
	@%p10 bra 	$L__BB0_12;
	bra.uni 	$L__BB0_26;

$L__BB0_12:
	ld.param.u16 	%rs7, [%rd27+16];
	setp.eq.s64 	%p13, %rd59, 0;
	@%p13 bra 	$L__BB0_14;

	ld.u16 	%rs7, [%rd59];

$L__BB0_14:
	st.u16 	[%rd20], %rs7;
	bra.uni 	$L__BB0_29;

$L__BB0_15:
	setp.eq.s32 	%p7, %r14, 4;
	@%p7 bra 	$L__BB0_20;

	setp.ne.s32 	%p8, %r14, 8;
	@%p8 bra 	$L__BB0_26;

	ld.param.u64 	%rd62, [%rd27+16];
	setp.eq.s64 	%p11, %rd59, 0;
	@%p11 bra 	$L__BB0_19;

	ld.u64 	%rd62, [%rd59];

$L__BB0_19:
	st.u64 	[%rd20], %rd62;
	bra.uni 	$L__BB0_29;

$L__BB0_23:
	ld.param.u8 	%rs8, [%rd27+16];
	setp.eq.s64 	%p14, %rd59, 0;
	@%p14 bra 	$L__BB0_25;

	ld.u8 	%rs8, [%rd59];

$L__BB0_25:
	st.u8 	[%rd20], %rs8;
	bra.uni 	$L__BB0_29;

$L__BB0_20:
	ld.param.u32 	%r26, [%rd27+16];
	setp.eq.s64 	%p12, %rd59, 0;
	@%p12 bra 	$L__BB0_22;

	ld.u32 	%r26, [%rd59];

$L__BB0_22:
	st.u32 	[%rd20], %r26;
	bra.uni 	$L__BB0_29;

$L__BB0_26:
	setp.eq.s64 	%p15, %rd59, 0;
	@%p15 bra 	$L__BB0_28;

	ld.v4.u32 	{%r15, %r16, %r17, %r18}, [%rd59];
	st.v4.u32 	[%rd20], {%r15, %r16, %r17, %r18};
	bra.uni 	$L__BB0_29;

$L__BB0_28:
	ld.param.u64 	%rd49, [%rd27+24];
	ld.param.u64 	%rd50, [%rd27+16];
	st.v2.u64 	[%rd20], {%rd50, %rd49};

$L__BB0_29:
	mov.u32 	%r23, %nctaid.x;
	mul.wide.u32 	%rd51, %r23, %r8;
	add.s64 	%rd53, %rd53, %rd51;
	ld.param.u64 	%rd52, [%rd22];
	setp.lt.s64 	%p16, %rd53, %rd52;
	@%p16 bra 	$L__BB0_1;

$L__BB0_30:
	ret;

}

)ptx";
// clang-format on

}  // namespace kernelwright::cuda
