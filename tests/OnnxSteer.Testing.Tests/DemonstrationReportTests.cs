using System.Text.RegularExpressions;
using System.Xml.Linq;
using OnnxSteer.Fixtures;
using OnnxSteer.Onnx.Storage;

namespace OnnxSteer.Testing.Tests;

/// <summary>The demonstration's page, made of what a hostile model, map or prompt could hold.</summary>
public sealed partial class DemonstrationReportTests
{
    private const string Hostile = "<script src='http://x.invalid/a.js'>alert(\"1\")</script>&amp;";
    private static readonly Lazy<DemonstrationResult> Result = new(() => Make(true));
    private static readonly Lazy<string> Page = new(() => DemonstrationReport.Html(Result.Value));

    [Fact]
    public void Nothing_in_it_becomes_markup()
    {
        var tags = Tags().Matches(Page.Value).Select(tag => tag.Groups["name"].Value).ToHashSet();
        Assert.Subset(new HashSet<string>
        {
            "html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "div", "table", "thead", "tbody", "tr", "th", "td", "b", "br", "mark",
            "span", "svg", "rect", "path", "text", "tspan", "dl", "dt", "dd", "pre",
        }, tags);
        // Name, opening, asking, label, word, text and check, provenance and files: each stands there as it was.
        var escaped = Hostile.Replace("&", "&amp;", StringComparison.Ordinal).Replace("<", "&lt;", StringComparison.Ordinal).Replace(">", "&gt;", StringComparison.Ordinal)
            .Replace("\"", "&quot;", StringComparison.Ordinal).Replace("'", "&#39;", StringComparison.Ordinal);
        Assert.True(Regex.Count(Page.Value, Regex.Escape(escaped)) >= 12);
    }

    // All but the document type and the elements that HTML leaves open is XML, so one missing escape or end tag shows.
    [Fact]
    public void It_is_well_formed()
    {
        var page = XDocument.Parse(OpenElements().Replace(Page.Value, "$0</${name}>").Replace("<!doctype html>", "", StringComparison.Ordinal));
        Assert.Equal($"OnnxSteer: {Hostile}", page.Descendants("title").Single().Value);
        Assert.Equal([$"{Hostile} was sad."], page.Descendants("table").First(table => (string?)table.Attribute("class") == "texts").Descendants("td").Select(cell => cell.Value).Distinct());
    }

    [Fact]
    public void It_needs_nothing_but_itself()
    {
        var markup = Tags().Matches(Page.Value).Select(tag => tag.Value);
        Assert.DoesNotContain(markup, tag => References().IsMatch(tag));
        Assert.DoesNotMatch(@"url\(|@import|expression\(", Style().Match(Page.Value).Value);
    }

    [Fact]
    public void Words_of_the_trait_are_marked() =>
        Assert.Equal(["sad"], Regex.Matches(Page.Value, "<mark>(.*?)</mark>").Select(mark => mark.Groups[1].Value).Distinct());

    [Fact]
    public void Bars_and_whiskers_show_the_shares()
    {
        var charts = Charts().Matches(Page.Value).Select(chart => XElement.Parse(chart.Value)).ToList();
        Assert.Equal(2, charts.Count);
        double[] Widths(int chart) => [.. charts[chart].Descendants("rect").Select(bar => (double)bar.Attribute("width")!)];
        // Shares 1/4, 0 and 1: bars in proportion, none left out, none beyond the scale.
        var shares = Widths(0);
        Assert.Equal(shares[2] / 4, shares[0], 0.02);
        Assert.Equal(1, shares[1]);
        var whiskers = charts[0].Descendants("path").Select(path => Numbers().Matches((string)path.Attribute("d")!).Select(number => double.Parse(number.Value)).ToArray()).ToList();
        var left = (double)charts[0].Descendants("rect").First().Attribute("x")!;
        foreach (var (whisker, row) in whiskers.Zip(Result.Value.Measurements))
        {
            Assert.Equal(left + row.Trait.Low * shares[2], whisker[0], 0.02);
            Assert.Equal(left + row.Trait.High * shares[2], whisker[2], 0.02);
        }
        // Distances 1.5 and 0.5.
        Assert.Equal(Widths(1)[0] / 3, Widths(1)[1], 0.02);
    }

    [Fact]
    public void It_tells_checks_that_fail_from_those_that_hold()
    {
        Assert.True(Result.Value.Holds);
        Assert.DoesNotContain("class=\"no\"", Page.Value);
        var failed = Make(false);
        Assert.False(failed.Holds);
        var page = DemonstrationReport.Html(failed);
        Assert.Equal((1, 1), (Regex.Count(page, "class=\"yes\">holds"), Regex.Count(page, "class=\"no\">fails")));
    }

    private static DemonstrationResult Make(bool holds)
    {
        var prompts = PromptSet.Of(Hostile, Hostile);
        var trait = new Trait(Hostile, prompts, prompts, prompts, prompts, ["sad", Hostile], Hostile, Hostile, new MeanFit(), Pooling.Last, Band.QAll);
        var transport = new SiteTransport(Hostile, Transport.Of(Hostile, [2], [1]));
        var fit = new FitResult([new SiteFit(transport, new SiteReport(Hostile, new SampleCounts(2, 2), 1, 0, 1, 1.5, 0.5, 0))],
            new Provenance(Method: Hostile, Pooling: Hostile, Band: Hostile));
        static Measurement Row(int hits) => new(Hostile, new Proportion(hits, 20), new Proportion(0, 2), hits == 0 ? null : 3.25, new Proportion(0, 20));
        return new DemonstrationResult(
            trait, ModelDescription.Of(ModelFile.Open(Path.Combine(Folders.Models, "stories260k-h16", "genai-fp32"))), fit, [0, 0.5f, 1],
            [new SideBySide(Hostile, [" was sad.", " was sad.", " was sad."])], [Row(5), Row(0), Row(20)],
            [new Verdict(Hostile, true, Hostile), new Verdict(Hostile, holds, Hostile)], Hostile, [Hostile, Hostile]);
    }

    [GeneratedRegex(@"</?(?<name>[a-zA-Z][^\s/>]*)[^>]*>")]
    private static partial Regex Tags();

    [GeneratedRegex(@"<(?<name>meta|br)\b[^>]*>")]
    private static partial Regex OpenElements();

    [GeneratedRegex(@"\b(src|href|srcset|data|action|on\w+)\s*=|http|url\(")]
    private static partial Regex References();

    [GeneratedRegex("<style>.*?</style>", RegexOptions.Singleline)]
    private static partial Regex Style();

    [GeneratedRegex("<svg.*?</svg>", RegexOptions.Singleline)]
    private static partial Regex Charts();

    [GeneratedRegex(@"\d+(\.\d+)?")]
    private static partial Regex Numbers();
}
