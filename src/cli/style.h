/* The style sheet of the demo's page: light and dark, one column on a phone. */
#ifndef TERN_CLI_STYLE_H
#define TERN_CLI_STYLE_H

static const char report_style[] =
    ":root{color-scheme:light dark;--bg:#fbfaf7;--card:#fff;--ink:#1d2329;--soft:#5d6873;--line:#e2e0d9;--a:#0b6e8f;--b:#d1603d;--good:11,110,143;--bad:209,96,61}\n"
    "@media(prefers-color-scheme:dark){:root{--bg:#14181c;--card:#1b2127;--ink:#e6e9ec;--soft:#98a4af;--line:#2e363d;--a:#4fb3d3;--b:#f08a66;--good:79,179,211;--bad:240,138,102}}\n"
    "*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--ink);font:16px/1.55 system-ui,-apple-system,\"Segoe UI\",Roboto,sans-serif;-webkit-text-size-adjust:100%}\n"
    "main{max-width:1060px;margin:0 auto;padding:40px 20px 64px}h1{font-size:30px;line-height:1.2;margin:0 0 6px;letter-spacing:-.01em}\n"
    "h2{font-size:20px;margin:48px 0 4px}p{margin:4px 0 16px;color:var(--soft);max-width:72ch}\n"
    ".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(170px,1fr));gap:12px;margin:26px 0 0}\n"
    ".tile{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:14px 16px}.tile b{display:block;font-size:26px;line-height:1.25;font-variant-numeric:tabular-nums}\n"
    ".tile span{color:var(--soft);font-size:14px}.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,400px),1fr));gap:16px}\n"
    "figure,.card{background:var(--card);border:1px solid var(--line);border-radius:10px;margin:0;padding:14px 16px;overflow-x:auto}\n"
    "figcaption{font-weight:600;display:flex;flex-wrap:wrap;gap:4px 18px;justify-content:space-between;margin-bottom:6px}\n"
    ".legend{font-weight:400;font-size:14px;color:var(--soft);display:flex;gap:14px;flex-wrap:wrap}.key{display:inline-block;width:12px;height:3px;border-radius:2px;margin-right:6px;vertical-align:middle;background:currentColor}\n"
    "svg{display:block;width:100%;height:auto}svg text{font-size:13px;fill:var(--soft)}.grid{stroke:var(--line)}.axis{stroke:var(--soft)}\n"
    ".line{fill:none;stroke:currentColor;stroke-width:2;stroke-linejoin:round}.dot{fill:currentColor;stroke:var(--card);stroke-width:1.5}.ca{color:var(--a)}.cb{color:var(--b)}.thin{stroke-width:1;opacity:.45}\n"
    "table{border-collapse:collapse;font-size:14px;font-variant-numeric:tabular-nums;width:100%}th{font-weight:600;text-align:left;color:var(--soft)}td,th{padding:5px 8px}\n"
    ".num{text-align:right;white-space:nowrap}.confusion td{text-align:center;min-width:46px;border:2px solid var(--card);border-radius:6px;background:rgba(var(--bad),var(--w,0))}\n"
    ".confusion td.hit{background:rgba(var(--good),var(--w,0))}.confusion td.zero{color:var(--soft);opacity:.5}.confusion td.share{color:var(--soft);white-space:nowrap}.confusion tbody th{white-space:nowrap;text-align:right}\n"
    ".confusion thead th{text-align:center;vertical-align:bottom;font-size:13px}.confusion thead th span{display:block;writing-mode:vertical-rl;transform:rotate(180deg);margin:0 auto;white-space:nowrap}\n"
    ".wrong{display:grid;grid-template-columns:repeat(auto-fill,minmax(116px,1fr));gap:12px}.wrong div{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:10px;font-size:13px;line-height:1.35}\n"
    ".wrong img{width:100%;aspect-ratio:1;image-rendering:pixelated;border-radius:6px;display:block;margin-bottom:8px;background:#fff}.wrong em{font-style:normal;color:var(--b);font-weight:600}.wrong small{color:var(--soft);display:block}\n"
    ".ledger td{border-top:1px solid var(--line);vertical-align:middle}.ledger .ops{font-size:13px;overflow-wrap:anywhere;min-width:150px}.ledger .ops small{color:var(--soft);display:block}\n"
    ".ledger .bars{width:38%;min-width:130px}.bar{height:8px;border-radius:4px;background:currentColor;min-width:2px;margin:2px 0}.bar.before{opacity:.35}.sum td{font-weight:600}\n"
    ".facts{display:grid;grid-template-columns:max-content 1fr;gap:4px 20px;margin:0}.facts dt{color:var(--soft)}.facts dd{margin:0;overflow-wrap:anywhere}\n"
    "details summary{cursor:pointer;color:var(--soft);margin-top:12px}footer{margin-top:48px;color:var(--soft);font-size:14px}\n"
    "@media(max-width:560px){main{padding:24px 14px 48px}h1{font-size:25px}.ledger .ops{min-width:88px}.ledger .ops small{display:none}.ledger .bars{width:30%;min-width:56px}.ledger .num{font-size:12px}figure,.card{padding:12px 10px}.facts{grid-template-columns:1fr;gap:0}.facts dd{margin-bottom:8px}td,th{padding:4px}}\n";

#endif
