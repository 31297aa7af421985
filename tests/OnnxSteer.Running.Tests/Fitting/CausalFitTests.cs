using System.Collections.Immutable;
using OnnxSteer.Fixtures;

namespace OnnxSteer.Running.Tests;

/// <summary>
/// The causal fit in segments against the plain algorithm, which runs the model anew for every site, with all maps so far in it.
/// </summary>
public sealed class CausalFitTests
{
    public static TheoryData<string> Everywhere => [.. Exports.Fixtures.Where(export => export.StartsWith("stories260k", StringComparison.Ordinal))];

    /// <summary>Sites whose order of fitting is not that of execution, as the reference implementation has it, and all kinds of sites.</summary>
    public static TheoryData<string, string, bool> Orders
    {
        get
        {
            var data = new TheoryData<string, string, bool>();
            foreach (var export in new[] { "stories260k/optimum", "stories260k/genai-fp32" })
                foreach (var pattern in new[] { @".*(o_proj|down_proj|post_attention_layernorm)", @".*layers\.\d", @".*(q_proj|k_proj|residual_mid)", @".*layers\.[23]\.mlp\..*" }.Concat(Exhaustive.IsOn ? [".*"] : []))
                    foreach (var isReversed in new[] { false, true })
                        data.Add(export, pattern, isReversed);
            return data;
        }
    }

    [SharedTheory, MemberData(nameof(Everywhere))]
    public void Segments_fit_what_running_anew_fits(string export)
    {
        var model = Exports.Exact(export, evenIfMeasuredAsShipped: true);
        Compare(model, [.. SiteTable.Of(model).Matching(@".*(o_proj|mlp\.down_proj|post_attention_layernorm|final_layernorm|model\.norm)")], new LinearFit(), Band.QAll);
    }

    [SharedTheory, InlineData(false), InlineData(true)]
    public void Of_a_large_quantized_model_too(bool isExact)
    {
        const string export = "smollm2-135m/genai-int4";
        var model = isExact ? Exports.Exact(export, evenIfMeasuredAsShipped: true) : Exports.Open(export);
        Compare(model, [.. SiteTable.Of(model).Matching(Exhaustive.IsOn ? @".*o_proj" : @".*layers\.(0|7|15|22|29)\..*o_proj")], new LinearFit(), Band.QAll);
    }

    [SharedTheory, MemberData(nameof(Orders))]
    public void Any_order_and_any_sites(string export, string pattern, bool isReversed)
    {
        var model = Exports.Open(export);
        var sites = Usable(SiteTable.Of(model).Matching(pattern));
        Compare(model, isReversed ? [.. Enumerable.Reverse(sites)] : sites, new MeanFit(), Band.QAll);
    }

    /// <summary>What crosses these cuts is as wide as all three projections together, and attention reckons its own width from that.</summary>
    [SharedTheory, InlineData("stories260k-h16/genai-fp32"), InlineData("smollm2-135m/genai-int4"), InlineData("tiny/qwen2-genai-int4"), InlineData("tiny/phi3-genai-int4")]
    public void Projections_packed_into_one(string export)
    {
        var model = Exports.Open(export);
        Compare(model, Usable(SiteTable.Of(model).Matching(@".*layers\.[01]\.self_attn\.(q|k|v|qkv)_proj")), new LinearFit(), Band.QAll);
    }

    [SharedTheory, InlineData("stories260k/genai-fp32"), InlineData("stories260k/optimum")]
    public void Bounds_are_kept(string export)
    {
        var model = Exports.Open(export);
        Compare(model, [.. SiteTable.Of(model).Matching(".*o_proj")], new LinearFit(), Band.Q0To100, 1e-2);
    }

    [SharedFact]
    public void What_does_not_fit_in_memory_goes_to_a_file()
    {
        var model = Exports.Open("stories260k/genai-fp32");
        ImmutableArray<Site> sites = [.. SiteTable.Of(model).Matching(".*o_proj")];
        var (source, target) = Prompts();
        FitResult Fit(long bytes) => CausalFit.Run(model, sites, new LinearFit(), null, source, target, new CausalOptions { LiveBytes = bytes, Capture = Options });
        var expected = Fit(long.MaxValue);
        Assert.Equal(expected.Map, Fit(0).Map);
        Assert.Equal(expected.Map, Fit(20_000).Map);
    }

    [SharedTheory, InlineData("stories260k/genai-fp32", ".*o_proj"), InlineData("stories260k/optimum", ".*(q_proj|k_proj)"), InlineData("stories260k-h16/genai-fp32", @"model\.layers\.\d")]
    public void Tokens_outside_the_support_are_counted(string export, string pattern)
    {
        var model = Exports.Open(export);
        ImmutableArray<Site> sites = [.. SiteTable.Of(model).Matching(pattern)];
        var (source, target) = Prompts();
        var fit = Fit.Linear(new ActivationSet(Capture.Run(model, sites, source, Options)), new ActivationSet(Capture.Run(model, sites, target, Options)), Band.Of(20, 80));
        var counted = TokenSupport.Count(model, fit, source, Options);
        var causal = CausalFit.Run(model, sites, new LinearFit(), Band.Of(20, 80), source, target, new CausalOptions { Capture = Options });
        foreach (var site in sites)
        {
            var support = fit.Map[site.Name].Support!;
            var (outside, total) = (0L, 0L);
            foreach (var row in source.Rows)
                foreach (var (i, z) in Exports.Activations(model, [site], [row])[site.Name].Index())
                    (outside, total) = (outside + (support.Lo[i % site.Channels] < z && z < support.Hi[i % site.Channels] ? 0 : 1), total + 1);
            Assert.Equal(outside / (double)total, counted.Sites.First(report => report.Site == site.Name).TokensOutside!.Value, 1e-3);
            Assert.InRange(outside / (double)total, 0.1, 0.99);
        }
        // What nothing lies upstream of is the same in both.
        Assert.Equal(counted.Sites[0].TokensOutside!.Value, causal.Sites[0].TokensOutside!.Value, 1e-3);
        Assert.All(causal.Sites, report => Assert.InRange(report.TokensOutside!.Value, 0.1, 0.99));
        Assert.All(fit.Sites, report => Assert.Null(report.TokensOutside));
    }

    [SharedTheory, InlineData("stories260k/genai-fp32"), InlineData("stories260k/optimum")]
    public void First_tokens_left_alone_are_left_alone_on_the_way(string export)
    {
        var model = Exports.Open(export);
        var (source, target) = Prompts();
        TokenizedPrompts Skipped(TokenizedPrompts prompts) => prompts with { Chosen = [.. prompts.Rows.Select(row => (1, row.Length))], Weights = [.. prompts.Rows.Select((_, i) => 1 + i % 2)] };
        Compare(model, [.. SiteTable.Of(model).Matching(@".*(o_proj|layers\.2)")], new LinearFit(), Band.QAll, source: Skipped(source), target: Skipped(target), skipFirst: true);
    }

    private static CaptureOptions Options => new() { BatchSize = 8, Session = Runner.OneThread };

    // One place is steered once: of several names of it the first.
    private static ImmutableArray<Site> Usable(IEnumerable<Site> sites)
    {
        var taken = new List<ValuePlace>();
        return [.. sites.Where(site =>
        {
            if (site.Places.Any(place => taken.Exists(other => other.Overlaps(place.At))))
                return false;
            taken.AddRange(site.Places.Select(place => place.At));
            return true;
        })];
    }

    private static (TokenizedPrompts Source, TokenizedPrompts Target) Prompts()
    {
        var random = new Random(5);
        TokenizedPrompts Of(int from) => new([.. Enumerable.Range(0, 24).Select(i => (ImmutableArray<int>)[1, .. Enumerable.Range(0, 3 + i * 2 % 11).Select(_ => random.Next(from, from + 200))])], 0);
        return (Of(10), Of(200));
    }

    private static void Compare(Model model, ImmutableArray<Site> sites, IFitMethod method, Band band, double tolerance = 1e-5, TokenizedPrompts? source = null, TokenizedPrompts? target = null, bool skipFirst = false)
    {
        source ??= Prompts().Source;
        target ??= Prompts().Target;
        var fast = CausalFit.Run(model, sites, method, band, source, target, new CausalOptions { Capture = Options, SkipFirst = skipFirst });
        var isHalf = sites[0].DataType == DataType.Float16;
        var slow = new Dictionary<string, SiteFit>();
        foreach (var site in sites)
        {
            var steered = slow.Count == 0 ? model : model.Apply(Steering.Patch(model,
                new SteeringMap(slow.Values.Select(fit => fit.Transport), new Provenance(Method: method.Name)), new SteeringOptions { AllowIdentity = true, Force = true, SkipFirst = skipFirst }));
            Matrix Pooled(TokenizedPrompts prompts) => Capture.Run(steered, [SiteTable.Of(steered).Find(site.Name)], prompts, Options)[0].Values;
            var (from, to) = (Pooled(source), Pooled(target));
            slow[site.Name] = Fit.Site(method, site.Name, from, to, band);
            AssertAlike(site, from, to, slow[site.Name].Transport.Transport, fast.Map[site.Name], isHalf ? 5e-3 : tolerance);
        }
        Assert.Equal(sites.OrderBy(site => site.Order).Select(site => site.Name), fast.Map.Sites.Select(site => site.Site));
    }

    // w alone is ill-conditioned where a channel hardly varies, so what the map does is compared, within the range of each channel.
    private static void AssertAlike(Site site, Matrix samples, Matrix targets, Transport expected, Transport actual, double tolerance)
    {
        for (var channel = 0; channel < site.Channels; channel++)
        {
            var (column, goal) = (new float[samples.Rows], new float[targets.Rows]);
            samples.CopyColumn(channel, column);
            targets.CopyColumn(channel, goal);
            var range = Math.Max(column.Concat(goal).Max() - column.Concat(goal).Min(), column.Max(Math.Abs) * 1e-2);
            foreach (var z in column)
                Assert.True(Math.Abs(((double)expected.W[channel] * z + expected.B[channel]) - ((double)actual.W[channel] * z + actual.B[channel])) <= tolerance * range,
                    $"{site.Name}, channel {channel}: {expected.W[channel]} {expected.B[channel]} against {actual.W[channel]} {actual.B[channel]}, z {z}, range {range}");
        }
    }
}
