// SPDX-License-Identifier: Apache-2.0
#include "report/page_style.h"

namespace kernelwright::report {

const char* const kPageStyle = R"css(
:root{color-scheme:light dark;--ink:#1a1c20;--soft:#555b65;--paper:#fff;--panel:#f5f6f8;--line:#d9dce1;--mark:#0b5fb8;--good:#12703a;--bad:#b3261e;
--k:#8a2a8f;--t:#0b5fb8;--s:#0a6b3d;--num:#964900;--c:#5d646f;--p:#7a4b00;--b:#006066;--f:#3b419e}
@media(prefers-color-scheme:dark){:root{--ink:#e7e9ee;--soft:#a3aab7;--paper:#14161a;--panel:#1c1f25;--line:#353a44;--mark:#74b5ff;--good:#6fd39a;--bad:#ff9188;
--k:#d9a0e8;--t:#82bfff;--s:#8fd6a6;--num:#f0b072;--c:#9aa2b1;--p:#e5c07b;--b:#6fd3d8;--f:#b7bdf5}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Liberation Sans",sans-serif;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
main{max-width:60rem;margin:0 auto;padding:1.75rem 1.25rem 4rem}
h1{font-size:1.6rem;line-height:1.2;margin:0 0 .3rem;font-weight:650}
h2{font-size:1.15rem;margin:2.6rem 0 .7rem;padding-top:.7rem;border-top:1px solid var(--line);font-weight:650}
h3{font-size:.95rem;margin:1.5rem 0 .45rem;font-weight:650}
p{margin:.5rem 0;max-width:48rem}small{font-size:.87em;color:var(--soft)}
a{color:var(--mark)}nav{margin:.9rem 0 0;display:flex;flex-wrap:wrap;gap:.15rem 1rem;font-size:.9rem}
.sub,.note{color:var(--soft)}.note{font-size:.87rem}.good{color:var(--good)}.bad{color:var(--bad)}
.badge{font-size:.78rem;font-weight:500;border:1px solid;border-radius:1rem;padding:.1rem .55rem;margin-left:.35rem;white-space:nowrap;vertical-align:.1em}
.alert{border-left:3px solid var(--bad);background:var(--panel);padding:.5rem .9rem;max-width:none}
code,pre{font-family:ui-monospace,"SF Mono",Menlo,Consolas,"Liberation Mono","DejaVu Sans Mono",monospace}
code{font-size:.88em}
.headline{display:grid;grid-template-columns:repeat(auto-fit,minmax(10.5rem,1fr));gap:1px;margin:1.3rem 0 0;background:var(--line);border:1px solid var(--line);border-radius:.4rem;overflow:hidden}
.headline div{background:var(--panel);padding:.75rem .95rem;font-size:.87rem;color:var(--soft)}
.headline b{display:block;font-size:1.5rem;line-height:1.25;font-weight:650;color:var(--ink)}.headline b.good{color:var(--good)}
table{border-collapse:collapse;width:100%;font-size:.9rem}
th,td{text-align:left;padding:.35rem .7rem .35rem 0;border-bottom:1px solid var(--line);vertical-align:top}
th{font-weight:500;color:var(--soft)}td.n,th.n{text-align:right}th:last-child,td:last-child{padding-right:0}
td.n,td.w{white-space:nowrap}th{overflow-wrap:normal}.rows td:not(.n):not(.w){min-width:8rem}
.facts{display:grid;grid-template-columns:fit-content(14rem) minmax(0,1fr);gap:.2rem 1.4rem;margin:.5rem 0;font-size:.9rem}.facts dt{color:var(--soft)}.facts dd{margin:0}
.chart svg{display:block;width:100%;height:auto;background:var(--panel);border-radius:.4rem}.chart.narrow{display:none}
svg text{font:11px system-ui,-apple-system,"Segoe UI",Roboto,"Liberation Sans",sans-serif;fill:var(--soft);paint-order:stroke;stroke:var(--panel);stroke-width:3px;stroke-linejoin:round}svg text.name{fill:var(--ink);font-weight:600}
.grid{stroke:var(--line);stroke-width:.6}path.line{fill:none;stroke:var(--mark);stroke-width:2}circle.dots{fill:var(--mark)}
line.rule{stroke:var(--soft);stroke-dasharray:5 4}line.ceiling{stroke:var(--soft);stroke-width:.8;opacity:.7}line.ceiling.main{stroke:var(--ink);stroke-width:1.8;opacity:1}
line.gain{stroke:var(--mark);stroke-dasharray:2 3}line.limit{stroke:var(--good);stroke-width:2.5}circle.eager{fill:var(--panel);stroke:var(--mark);stroke-width:1.6}circle.point{fill:var(--mark)}
ul.ci{list-style:none;margin:.4rem 0;padding:0;font-size:.9rem}
ul.ci li{display:grid;grid-template-columns:minmax(9rem,18rem) minmax(0,1fr) 11rem;gap:0 1rem;align-items:center;padding:.28rem 0;border-bottom:1px solid var(--line)}
.ci-track{position:relative;height:1.1rem;background:var(--panel);border-radius:.2rem}.ci-track i{position:absolute;top:0;bottom:0}
.ci-track .one{width:0;border-left:1px dashed var(--soft)}.ci-track .bar{top:.32rem;bottom:.32rem;background:var(--soft);border-radius:.15rem}
.ci-track .bar.up{background:var(--good)}.ci-track .bar.down{background:var(--bad)}.ci-track .bar.step,.ci-track .bar.span{background:var(--mark)}.ci-track .bar.span{opacity:.45}
.ci-track .mid{width:2px;margin-left:-1px;top:.12rem;bottom:.12rem;background:var(--ink)}.ci-track .call{width:8px;height:8px;margin-left:-4px;top:.3rem;bottom:auto;border-radius:50%}
.ci-value{text-align:right}
ol.lineage{list-style:none;margin:.6rem 0;padding:0}
ol.lineage>li{position:relative;padding:0 0 .9rem 1.5rem;border-left:2px solid var(--line);margin-left:.35rem}
ol.lineage>li:last-child{border-left-color:transparent;padding-bottom:0}
ol.lineage>li::before{content:"";position:absolute;left:-6px;top:.45rem;width:10px;height:10px;border-radius:50%;background:var(--paper);border:2px solid var(--mark)}
ol.lineage>li:last-child::before{background:var(--mark)}
.head{display:flex;flex-wrap:wrap;gap:0 .7rem;align-items:baseline}.head .when{font-weight:650;min-width:4.6rem}.verdict,.who{font-size:.87rem}.who{color:var(--soft)}
.lineage .note,.lineage .promotion{font-size:.87rem}.lineage .idea{font-size:.93rem}
ul.branches{list-style:none;margin:.25rem 0 .25rem .35rem;padding:0 0 0 .8rem;border-left:1px solid var(--line)}ul.branches li{padding:.25rem 0;font-size:.92em}
ul.branches ul.branches{padding-left:.6rem;margin-left:.1rem}.branches .head .when{font-weight:500}
details{margin:.3rem 0}summary{cursor:pointer;padding:.25rem 0;color:var(--mark);font-size:.9rem}
pre{background:var(--panel);border-radius:.4rem;padding:.8rem 1rem;margin:.3rem 0;overflow:auto;max-height:38rem;font-size:.8rem;line-height:1.45;overflow-wrap:normal;tab-size:2}
pre.said{white-space:pre-wrap;overflow-wrap:anywhere}
pre .k{color:var(--k)}pre .t{color:var(--t)}pre .s{color:var(--s)}pre .n{color:var(--num)}pre .c{color:var(--c);font-style:italic}pre .p{color:var(--p)}pre .b{color:var(--b)}pre .f{color:var(--f)}
footer{margin-top:3rem;padding-top:.8rem;border-top:1px solid var(--line);font-size:.87rem;color:var(--soft)}
@media(max-width:46rem){main{padding:1.1rem .9rem 3rem}h1{font-size:1.35rem}
.chart.wide{display:none}.chart.narrow{display:block}
.headline{grid-template-columns:1fr 1fr}.headline div{padding:.6rem .7rem}.headline b{font-size:1.25rem}
table.rows thead{display:none}table.rows,table.rows tbody,table.rows tr{display:block}
table.rows tr{padding:.45rem 0;border-bottom:1px solid var(--line)}
table.rows td,table.rows td.n,table.rows td.w{display:grid;grid-template-columns:7.5rem minmax(0,1fr);gap:.6rem;border:0;padding:.08rem 0;text-align:left;white-space:normal;min-width:0!important}
table.rows td[data-l=""]{display:block;font-weight:600}table.rows td[data-l=""]::before{display:none}
table.rows td::before{content:attr(data-l);color:var(--soft)}
ul.ci li{grid-template-columns:minmax(0,1fr) auto}.ci-name{grid-column:1}.ci-value{grid-column:2;grid-row:1}.ci-track{grid-column:1/-1;margin:.15rem 0}
.facts{grid-template-columns:minmax(0,1fr);gap:0}.facts dd{margin:0 0 .4rem}}
@media print{body{font-size:11px}pre{max-height:none;white-space:pre-wrap}nav{display:none}h2{break-after:avoid}}
)css";

}  // namespace kernelwright::report
