using System.Globalization;
using System.Net;
using System.Text;

namespace OnnxSteer.Testing;

/// <summary>Pieces of a page that needs nothing but itself: no script, no font, no picture from elsewhere.</summary>
internal static class Html
{
    private const string Style = """
        :root { color-scheme: light dark; --ink: #1c2430; --soft: #5d6b7d; --paper: #ffffff; --line: #d9dfe7; --before: #a9b4c2; --after: #2f6f9f; --mark: #ffe3a3; --good: #237a4b; --bad: #b3261e; --s0: #2f6f9f; --s1: #c26a1b; --s2: #3c8a5a; --s3: #8a4f9e; --s4: #b03a4e; --s5: #6b7280; }
        @media (prefers-color-scheme: dark) { :root { --ink: #e6ebf1; --soft: #9aa7b6; --paper: #161b22; --line: #313a46; --before: #55616f; --after: #6fb1e0; --mark: #6b5315; --good: #63c08d; --bad: #ff8a80; --s0: #6fb1e0; --s1: #e7a066; --s2: #78c796; --s3: #c39ad4; --s4: #ee8a9a; --s5: #a3adba; } }
        * { box-sizing: border-box; }
        body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 62rem; margin: 2.5rem auto; padding: 0 1.25rem; }
        h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .4rem; } h2 { font-size: 1.25rem; margin: 2.4rem 0 .6rem; }
        p.lead, .note { color: var(--soft); } .note { font-size: .9rem; }
        table { border-collapse: collapse; width: 100%; } th, td { text-align: left; vertical-align: top; padding: .45rem .8rem .45rem 0; border-bottom: 1px solid var(--line); }
        th { font-weight: 600; font-size: .85rem; color: var(--soft); } td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
        table.texts { table-layout: fixed; } table.texts td { padding-right: 1.2rem; font-size: .95rem; } td b.opening { font-weight: 600; }
        mark { background: var(--mark); color: inherit; border-radius: .2rem; padding: 0 .15rem; }
        .scroll { overflow-x: auto; } svg { max-width: 100%; height: auto; display: block; } svg text { fill: var(--ink); font: 13px system-ui, sans-serif; } svg .soft { fill: var(--soft); }
        .yes { color: var(--good); font-weight: 600; } .no { color: var(--bad); font-weight: 600; }
        pre { background: color-mix(in srgb, var(--line) 45%, transparent); padding: .9rem 1rem; border-radius: .4rem; overflow-x: auto; font-size: .88rem; }
        ul.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .2rem 1.4rem; margin: .2rem 0 .4rem; padding: 0; font-size: .9rem; } ul.legend i { display: inline-block; width: .7rem; height: .7rem; border-radius: 50%; margin-right: .45rem; }
        table.sites { font-size: .88rem; font-variant-numeric: tabular-nums; } table.sites td { white-space: nowrap; } table.sites td:first-child { white-space: normal; min-width: 20rem; } table.sites small { color: var(--soft); }
        dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1.2rem; margin: 0; } dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
        """;

    public static string Page(string title, string body) =>
        $"<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{Text(title)}</title>\n<style>\n{Style}\n</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n";

    public static string Text(string text) => WebUtility.HtmlEncode(text);

    public static string Number(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);

    public static string Table(string cssClass, IEnumerable<string> head, IEnumerable<IEnumerable<string>> rows)
    {
        var page = new StringBuilder($"<div class=\"scroll\"><table class=\"{cssClass}\"><thead><tr>");
        page.AppendJoin("", head.Select(cell => $"<th>{cell}</th>")).Append("</tr></thead><tbody>");
        foreach (var row in rows)
            page.Append("<tr>").AppendJoin("", row.Select(cell => $"<td>{cell}</td>")).Append("</tr>");
        return page.Append("</tbody></table></div>").ToString();
    }
}
