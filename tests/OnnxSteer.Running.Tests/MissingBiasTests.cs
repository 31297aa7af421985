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
