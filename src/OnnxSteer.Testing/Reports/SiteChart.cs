using System.Text;
using System.Text.RegularExpressions;

namespace OnnxSteer.Testing;

/// <summary>One dot of a <see cref="SiteChart"/>.</summary>
/// <param name="Site">The site's name.</param>
/// <param name="Value">How high it stands.</param>
/// <param name="Error">Half the height of its whisker; 0 for none.</param>
/// <param name="IsMarked">Whether it is filled and stands out.</param>
internal sealed record SiteDot(string Site, double Value, double Error, bool IsMarked);

/// <summary>One number a site, along the model in the order of execution, sites of like name in one colour.</summary>
internal static partial class SiteChart
{
    private const int Width = 900, Height = 250, Left = 48, Right = 92, Bottom = 26, Top = 12, Colours = 6;

    /// <summary>A static SVG.</summary>
    /// <param name="title">What it shows, for who cannot see it.</param>
    /// <param name="dots">The sites in the order of execution; at least one.</param>
    /// <param name="low">The bottom of the axis.</param>
    /// <param name="high">The top of the axis.</param>
    /// <param name="middle">Where a line goes across, with a word to it.</param>
    /// <param name="format">The axis' numbers.</param>
    public static string Of(string title, IReadOnlyList<SiteDot> dots, double low, double high, (double Value, string Word) middle, string format)
    {
        var families = Families(dots);
        var chart = new StringBuilder($"<svg viewBox=\"0 0 {Width} {Height}\" role=\"img\" aria-label=\"{Html.Text(title)}\">");
        foreach (var tick in Enumerable.Range(0, 5).Select(i => low + ((high - low) * i / 4)))
            chart.Append($"<path d=\"M{Left} {N(Y(tick))}H{Width - Right}\" stroke=\"var(--line)\"/><text x=\"{Left - 8}\" y=\"{N(Y(tick) + 4.5)}\" text-anchor=\"end\" class=\"soft\">{Html.Number(tick, format)}</text>");
        chart.Append($"<path d=\"M{Left} {N(Y(middle.Value))}H{Width - Right}\" stroke=\"var(--soft)\" stroke-dasharray=\"5 4\"/><text x=\"{Width - Right + 8}\" y=\"{N(Y(middle.Value) + 4.5)}\" class=\"soft\">{Html.Text(middle.Word)}</text>");
        foreach (var (number, layer) in Layers(dots))
            chart.Append($"<text x=\"{N(X(number))}\" y=\"{Height - 6}\" text-anchor=\"middle\" class=\"soft\">{Html.Text(layer)}</text>");
        foreach (var (family, colour) in families)
        {
            var members = dots.Index().Where(dot => Family(dot.Item.Site) == family).ToList();
            chart.Append($"<path d=\"M{string.Join('L', members.Select(dot => $"{N(X(dot.Index))} {N(Y(dot.Item.Value))}"))}\" fill=\"none\" stroke=\"{colour}\" stroke-opacity=\".45\" stroke-width=\"1.5\"/>");
        }
        foreach (var (number, dot) in dots.Index())
        {
            var (x, y, colour) = (X(number), Y(dot.Value), families[Family(dot.Site)]);
            if (dot.Error > 0)
                chart.Append($"<path d=\"M{N(x)} {N(Y(dot.Value - dot.Error))}V{N(Y(dot.Value + dot.Error))}\" stroke=\"{colour}\" stroke-opacity=\".55\"/>");
            chart.Append($"<circle cx=\"{N(x)}\" cy=\"{N(y)}\" r=\"{(dot.IsMarked ? "5.5" : "3.5")}\" fill=\"{(dot.IsMarked ? colour : "var(--paper)")}\" stroke=\"{colour}\" stroke-width=\"1.8\"><title>{Html.Text(dot.Site)}: {Html.Number(dot.Value, "0.000")}</title></circle>");
        }
        return chart.Append("</svg>").ToString();

        double X(int number) => Left + 14 + ((Width - Left - Right - 28) * (dots.Count == 1 ? 0.5 : number / (dots.Count - 1.0)));
        double Y(double value) => Height - Bottom - ((Height - Bottom - Top) * (Math.Clamp(value, low, high) - low) / (high - low));
    }

    /// <summary>Which colour stands for which sites.</summary>
    public static string Legend(IReadOnlyList<SiteDot> dots) =>
        $"<ul class=\"legend\">{string.Join("", Families(dots).Select(family => $"<li><i style=\"background:{family.Value}\"></i>{Html.Text(family.Key)}</li>"))}</ul>";

    private static Dictionary<string, string> Families(IReadOnlyList<SiteDot> dots) =>
        dots.Select(dot => Family(dot.Site)).Distinct().Index().ToDictionary(family => family.Item, family => $"var(--s{family.Index % Colours})");

    // As in model.layers.N.self_attn.heads.N: what a pattern of sites is written for.
    private static string Family(string site) => Numbers().Replace(site, "N");

    // The first number of each name, where it changes, as many as fit.
    private static IEnumerable<(int Number, string Layer)> Layers(IReadOnlyList<SiteDot> dots)
    {
        const int most = 30;
        var starts = dots.Index().Select(dot => (dot.Index, Layer: Numbers().Match(dot.Item.Site).Value)).Where(dot => dot.Layer.Length > 0).DistinctBy(dot => dot.Layer).ToList();
        var step = (starts.Count + most - 1) / most;
        return starts.Where((_, i) => i % Math.Max(1, step) == 0).Select(start => (start.Index, start.Layer));
    }

    private static string N(double value) => Html.Number(value, "0.##");

    [GeneratedRegex(@"(?<![A-Za-z0-9_])\d+(?![A-Za-z0-9_])")]
    private static partial Regex Numbers();
}
