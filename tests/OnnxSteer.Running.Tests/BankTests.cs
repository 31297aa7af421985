using System.Collections.Immutable;
using OnnxSteer.Fixtures;

namespace OnnxSteer.Running.Tests;

/// <summary>Several maps in one graph: each batch row is what a graph with its map alone would make of it.</summary>
public sealed class BankTests
{
    private const int Maps = 16;

    public static TheoryData<string, bool> Cases => new()
    {
        { "stories260k/optimum", true }, { "stories260k-h16/genai-fp32", true }, { "stories260k-h16/genai-fp32", false }, { "tiny/gpt2-optimum", false }, { "tiny/opt-optimum", false },
    };

    [SharedTheory, MemberData(nameof(Cases))]
    public void Each_row_of_sixteen_has_a_map_and_a_strength_of_its_own(string export, bool isBounded)
    {
        var model = Exports.Open(export);
        var sites = SiteTable.Of(model).Sites.Where((_, i) => i % 3 == 1).ToList();
        // Maps leave out sites of their own, and every second one has bounds where bounds are tried.
        var maps = Enumerable.Range(0, Maps).Select(number => Map(sites.Where((_, i) => (i + number) % 4 != 0), number, isBounded && number % 2 == 0)).ToList();
        float[] strengths = [.. Enumerable.Range(0, Maps).Select(number => 0.2f + 0.1f * number)];
        ImmutableArray<int>[] rows = [.. Enumerable.Range(0, Maps).Select(row => Enumerable.Range(0, 6).Select(i => 3 + (row * 37 + i * 11) % 250).ToImmutableArray())];
        var patch = Steering.Bank(model, maps, new SteeringOptions { Mode = Mode.Live });
        using var bank = new Runner(model.Apply(patch));
        var together = bank.Logits(rows, Dials([.. Enumerable.Range(0, Maps).Select(i => (float)i)], strengths));
        var width = together.Length / Maps;
        for (var row = 0; row < Maps; row++)
        {
            using var baked = new Runner(Exports.Patch(model, maps[row], Mode.Baked, strengths[row]));
            var expected = baked.Logits([rows[row]]);
            Assert.InRange(Exports.Worst(expected, together.AsSpan(row * width, width)), 0, 2e-5 * Math.Max(1, Bits.Largest(expected)));
        }
        // One map under sixteen strengths, and sixteen maps under one.
        var (spread, even) = (bank.Logits(rows, Dials([3], strengths)), bank.Logits(rows, Dials([.. Enumerable.Range(0, Maps).Select(i => (float)i)], [0.5f])));
        foreach (var row in new[] { 0, 9 })
        {
            using Runner third = new(Exports.Patch(model, maps[3], Mode.Baked, strengths[row])), half = new(Exports.Patch(model, maps[row], Mode.Baked, 0.5f));
            Assert.InRange(Exports.Worst(third.Logits([rows[row]]), spread.AsSpan(row * width, width)), 0, 2e-5 * Math.Max(1, Bits.Largest(spread)));
            Assert.InRange(Exports.Worst(half.Logits([rows[row]]), even.AsSpan(row * width, width)), 0, 2e-5 * Math.Max(1, Bits.Largest(even)));
        }
        // Without a map, by its number or from the end, and at strength 0 nothing changes; left out, the first map acts.
        using var unsteered = new Runner(model);
        var plain = unsteered.Logits(rows);
        Assert.True(Bits.Same(plain, bank.Logits(rows, Dials([-1], [1]))), "-1 is not the identity");
        Assert.True(Bits.Same(plain, bank.Logits(rows, Dials([-2], [1]))), "-2 is somebody's map");
        Assert.True(Bits.Same(plain, bank.Logits(rows, Dials([Maps], [0.7f]))), "the number behind the last map is not the identity");
        Assert.True(Bits.Same(plain, bank.Logits(rows, Dials([3], [0]))), "strength 0 is not the identity");
        Assert.True(Bits.Same(bank.Logits(rows, Dials([0], [1])), bank.Logits(rows)), "the defaults are not the first map at the strength given");
    }

    [SharedFact]
    public void Parameters_are_gathered_and_scaled_once_for_all_sites()
    {
        var model = Exports.Open("stories260k-h16/genai-fp32");
        var sites = SiteTable.Of(model).Matching(".*o_proj");
        int Nodes(int count) => Steering.Bank(model, [Map(sites.Take(count), 1, false), Map(sites.Take(count), 2, false)], new SteeringOptions { Mode = Mode.Live })
            .Edits.OfType<Onnx.Patching.AddNode>().Count();
        Assert.Equal(2 * 3, Nodes(4) - Nodes(1));
        Assert.Equal(2 * 5 + 7, Nodes(5));
    }

    [SharedFact]
    public void A_bank_is_live_and_has_maps()
    {
        var model = Exports.Open("stories260k-h16/genai-fp32");
        var map = Map(SiteTable.Of(model).Matching(".*o_proj"), 1, false);
        Assert.Contains("--mode live", Assert.Throws<OnnxException>(() => Steering.Bank(model, [map], new SteeringOptions())).Message, StringComparison.Ordinal);
        Assert.Contains("0 maps", Assert.Throws<OnnxException>(() => Steering.Bank(model, [], new SteeringOptions { Mode = Mode.Live })).Message, StringComparison.Ordinal);
    }

    private static Dictionary<string, float[]> Dials(float[] maps, float[] strengths) => new() { ["onnxsteer.map"] = maps, ["onnxsteer.strength"] = strengths };

    private static SteeringMap Map(IEnumerable<Site> sites, int seed, bool isBounded) => new(sites.Select(site =>
    {
        var random = new Random(100 * seed + site.Order);
        ImmutableArray<float> w = [.. Enumerable.Range(0, site.Channels).Select(_ => 0.9f + 0.2f * random.NextSingle())], b = [.. w.Select(_ => 0.1f * (random.NextSingle() - 0.5f))];
        return new SiteTransport(site.Name, isBounded
            ? Transport.Of(site.Name, w, b, [.. w.Select(_ => -3.1f - random.NextSingle())], [.. w.Select(_ => 3.1f + random.NextSingle())]) : Transport.Of(site.Name, w, b));
    }).ToList());
}
