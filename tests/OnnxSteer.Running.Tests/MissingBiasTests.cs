using Google.Protobuf;
using OnnxSteer.Fixtures;
using OnnxSteer.Onnx.Protobuf;

namespace OnnxSteer.Running.Tests;

/// <summary>
/// Skip norms that add a projection's bias too: the projection's own value lacks it. OPT's sums after attention are fused
/// so here, with a norm that nothing reads.
/// </summary>
public sealed class MissingBiasTests
{
    private const string Export = "tiny/opt-optimum";

    [SharedFact]
    public void A_value_before_its_bias_is_read_with_it()
    {
        var (model, table, rows) = (Fused(), SiteTable.Of(Fused()), Subject.Of(Export).Rows);
        var sites = table.Matching(@"model\.decoder\.layers\.\d\.self_attn\.out_proj");
        Assert.Equal(3, sites.Length);
        Assert.All(sites, site => Assert.Equal((Hook.BeforeBias, $"{site.Name}.bias", "MatMul"), (site.Places[0].Hook, site.Places[0].MissingBias, model.Graph.Nodes[site.Places[0].NodeIndex].OpType)));
        Assert.Equal(sites.Select(site => site.Places[0]), table.Matching(@"model\.decoder\.layers\.\d\.self_attn").Select(site => site.Places[0]));
        Assert.All(table.Matching(@".*residual_mid"), site => Assert.Equal(Hook.Unfuse, site.Places[0].Hook));
        var values = Exports.Activations(model, table.Sites, rows);
        using var golden = Exports.Golden(Export);
        foreach (var site in sites.Concat(table.Matching(".*residual_mid")))
            Assert.InRange(Exports.WorstRow(golden.ReadSingles($"act/{site.Name}"), values[site.Name], site.Channels), 0, 1e-4);
        // Pooled as well.
        var pooled = Capture.Run(model, sites, [rows[0]], new CaptureOptions { Pooling = Pooling.Last, Session = Runner.OneThread });
        foreach (var (site, row) in sites.Zip(pooled))
            Assert.InRange(Exports.WorstRow(golden.ReadSingles($"act/{site.Name}").AsSpan(11 * site.Channels, site.Channels), row.Values.Values, site.Channels), 0, 1e-4);
    }

    public static TheoryData<Kind> Kinds => [.. Enum.GetValues<Kind>()];

    [SharedTheory, MemberData(nameof(Kinds))]
    public void Every_mode_steers_it_as_the_value_behind_the_bias(Kind kind)
    {
        var (subject, fused) = (Subject.Of(Export), Fused());
        foreach (var site in subject.Table.Matching(@"model\.decoder\.layers\.\d\.self_attn\.out_proj"))
            SteersAlike(subject, fused, site.Name, kind, canFold: kind != Kind.Bounded);
    }

    [SharedTheory, MemberData(nameof(Kinds))]
    public void Before_a_fused_activation_too(Kind kind)
    {
        var (subject, fused) = (Subject.Of("tiny/gpt2-optimum"), Activated());
        var sites = SiteTable.Of(fused).Sites.Where(site => site.Places[0].Hook == Hook.BeforeBias).ToList();
        Assert.Equal(subject.Table.Matching(@".*\.c_fc").Select(site => site.Name), sites.Select(site => site.Name));
        foreach (var site in sites)
            SteersAlike(subject, fused, site.Name, kind, canFold: kind != Kind.Bounded);
    }

    // The whole value is there in the export, before anything was fused.
    private static void SteersAlike(Subject subject, Model fused, string site, Kind kind, bool canFold)
    {
        const float strength = 0.7f;
        var map = subject.Map(kind, subject.Table.Find(site));
        Assert.Equal(Hook.BeforeBias, SiteTable.Of(fused).Find(site).Places[0].Hook);
        var expected = new ModeCase("", Exports.Patch(subject.Model, map, Mode.Baked, strength)).Calls(subject, "logits");
        Assert.False(Bits.Same(expected[0]["logits"], new ModeCase("", subject.Model).Calls(subject, "logits")[0]["logits"]), $"{site}: nothing changed");
        var modes = new List<string>();
        foreach (var mode in EveryMode.Of(fused, map, strength))
        {
            EveryMode.Same($"{site}, {kind}, {mode.Name}", expected, mode.Calls(subject, "logits"));
            modes.Add(mode.Name);
        }
        Assert.Equal(canFold, modes.Contains("folded"));
    }

    // GPT-2's up projections without their biases, which the activation adds.
    private static Model Activated()
    {
        var model = Exports.Open("tiny/gpt2-optimum");
        var proto = ModelProto.Parser.ParseFrom(model.Source.ToArray());
        proto.OpsetImport.Add(new OperatorSetIdProto { Domain = "com.microsoft", Version = 1 });
        var nodes = proto.Graph.Node;
        foreach (var product in nodes.Where(node => node.Name.EndsWith("/mlp/c_fc/Gemm", StringComparison.Ordinal)).ToList())
        {
            var module = product.Name[..^"/c_fc/Gemm".Length];
            var activated = nodes.Where(node => node.Name.StartsWith($"{module}/act/", StringComparison.Ordinal)).ToList();
            var last = activated.Last(node => nodes.Any(reader => !activated.Contains(reader) && reader.Input.Contains(node.Output[0])));
            var before = activated.SelectMany(node => node.Input).First(input => input.StartsWith($"{module}/c_fc/", StringComparison.Ordinal));
            nodes[nodes.IndexOf(last)] = new NodeProto { OpType = "FastGelu", Domain = "com.microsoft", Name = $"{module}/act/FastGelu", Input = { before, product.Input[2] }, Output = { last.Output[0] } };
            foreach (var node in activated.Where(node => node != last))
                nodes.Remove(node);
            product.Input.RemoveAt(2);
            product.OpType = "MatMul";
            product.Attribute.Clear();
        }
        return Model.Parse(proto.ToByteArray(), model.Folder);
    }

    private static Model Fused()
    {
        var model = Exports.Open(Export);
        var proto = ModelProto.Parser.ParseFrom(model.Source.ToArray());
        proto.OpsetImport.Add(new OperatorSetIdProto { Domain = "com.microsoft", Version = 1 });
        var nodes = proto.Graph.Node;
        for (var layer = 0; layer < 3; layer++)
        {
            var bias = nodes.First(node => node.Name == $"/decoder/layers.{layer}/self_attn/out_proj/Add");
            var sum = nodes.First(node => node.Name == $"/decoder/layers.{layer}/Add");
            var (parameter, product) = (bias.Input.Single(input => input.EndsWith(".bias", StringComparison.Ordinal)), bias.Input.Single(input => !input.EndsWith(".bias", StringComparison.Ordinal)));
            var norm = new NodeProto
            {
                OpType = "SkipLayerNormalization", Domain = "com.microsoft", Name = $"SkipLayerNorm_{layer}",
                Input = { sum.Input.Single(input => input != bias.Output[0]), product, $"model.decoder.layers.{layer}.final_layer_norm.weight", $"model.decoder.layers.{layer}.final_layer_norm.bias", parameter },
                Output = { $"SkipLayerNorm_{layer}_unread", "", "", sum.Output[0] },
            };
            nodes[nodes.IndexOf(sum)] = norm;
            nodes.Remove(bias);
        }
        return Model.Parse(proto.ToByteArray(), model.Folder);
    }
}
