using OnnxSteer.Generate;
using OnnxSteer.Onnx.Protobuf;

namespace OnnxSteer.Fuzz;

/// <summary>What damage, accident and malice do to files.</summary>
internal static class Mutations
{
    /// <summary>A damaged copy of some bytes; now and then an undamaged one.</summary>
    public static byte[] Damage(byte[] bytes, Random random)
    {
        var damaged = bytes.ToList();
        for (var i = random.Next(6); i > 0 && damaged.Count > 0; i--)
        {
            var at = random.Next(damaged.Count);
            switch (random.Next(9))
            {
                case 0:
                    damaged[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 1:
                    damaged[at] = (byte)random.Next(256);
                    break;
                case 2:
                    damaged.RemoveRange(at, damaged.Count - at);
                    break;
                case 3:
                    damaged.RemoveRange(at, Math.Min(random.Next(1, 20), damaged.Count - at));
                    break;
                case 4:
                    damaged.InsertRange(at, Enumerable.Range(0, random.Next(1, 20)).Select(_ => (byte)random.Next(256)));
                    break;
                case 5:
                    // A length or number beyond all bounds.
                    damaged.InsertRange(at, random.Pick<byte[]>([[0xFF, 0xFF, 0xFF, 0xFF, 0x0F], [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F], [.. Enumerable.Repeat((byte)0xFF, 11)], [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01]]));
                    break;
                case 6:
                    var piece = damaged.GetRange(at, Math.Min(random.Next(1, 200), damaged.Count - at));
                    damaged.InsertRange(random.Next(damaged.Count), piece);
                    break;
                case 7:
                    for (var j = at; j < Math.Min(at + 8, damaged.Count); j++)
                        damaged[j] = 0xFF;
                    break;
                default:
                    damaged.InsertRange(at, Enumerable.Repeat((byte)random.Pick<int>([0x0B, 0x5B, 0x3A, 0x0A, 0x7B]), random.Next(300)));
                    break;
            }
        }
        return [.. damaged];
    }

    /// <summary>Makes a well-formed file say what no exporter says.</summary>
    public static void Distort(ModelProto model, Random random)
    {
        for (var i = random.Next(4); i > 0; i--)
            switch (random.Next(10))
            {
                case 0 when Node(model, random) is { } node:
                    // A circle, the smallest there is.
                    node.Input.Add(node.Output.FirstOrDefault(name => name.Length > 0) ?? "x");
                    break;
                case 1 when model.Graph.Node.Count > 1:
                    model.Graph.Node[0].Input.Add(model.Graph.Node[^1].Output.LastOrDefault() ?? "");
                    break;
                case 2 when model.Graph.Node.Count > 0:
                    model.Graph.Node.Add(model.Graph.Node[0].Clone());
                    break;
                case 3:
                    Nest(model.Graph, random.Next(1, 60));
                    break;
                case 4 when model.Graph.Initializer.Count > 0:
                    var tensor = random.Pick(model.Graph.Initializer);
                    tensor.DataLocation = TensorProto.Types.DataLocation.External;
                    tensor.ExternalData.Clear();
                    tensor.ExternalData.Add(new StringStringEntryProto { Key = "location", Value = random.Pick(["../secret", "/etc/passwd", "a/../../secret", "link", "linked/secret", "..\\secret", "C:\\x", "", ".", "weights.bin", "x\0y", "shards/../../secret"]) });
                    tensor.ExternalData.Add(new StringStringEntryProto { Key = "offset", Value = random.Pick(["0", "-1", "9223372036854775807", "99999999999999999999", "1e3", " 1"]) });
                    break;
                case 5 when model.Graph.Initializer.Count > 0:
                    random.Pick(model.Graph.Initializer).Dims.Add(random.Pick<long>([-1, long.MaxValue, long.MinValue, 0, 1L << 40]));
                    break;
                case 6:
                    foreach (var other in model.Graph.Initializer)
                        other.Name = "same";
                    break;
                case 7 when Node(model, random) is { } node:
                    node.OpType = random.Pick(["Reshape", "Transpose", "Concat", "Slice", "Split", "Gather", "Constant", "MatMul", "Conv", "Squeeze", "Unsqueeze", "SkipLayerNormalization", "GroupQueryAttention", "MatMulNBits", "Resize", "If", "Loop"]);
                    break;
                case 8:
                    model.MetadataProps.Add(new StringStringEntryProto
                    {
                        Key = $"onnxsteer.patch.{random.Pick(["1", "2", "-1", "999999", "9999999999", "01"])}",
                        Value = random.Pick(["", "null", "{}", new string('[', 5000), """{"label":"x","properties":{},"length":10,"sha256":"00","splices":[{"offset":9223372036854775807,"length":1,"bytes":""}]}""",
                            """{"label":"x","properties":{},"length":10,"sha256":"00","splices":[],"data":"../secret","files":["/etc/passwd","../secret"]}"""]),
                    });
                    break;
                default:
                    foreach (var node in model.Graph.Node)
                        node.Name = random.Pick(["/model/layers.0/mlp/down_proj/MatMul", "/model/layers.1/Add", "", "/", "//", "/model/layers.99999999999/x"]);
                    break;
            }
    }

    private static NodeProto? Node(ModelProto model, Random random) => model.Graph.Node.Count == 0 ? null : random.Pick(model.Graph.Node);

    private static void Nest(GraphProto graph, int depth)
    {
        for (; depth > 0; depth--)
        {
            var body = new GraphProto { Name = "body" };
            var node = new NodeProto { OpType = "If", Input = { "c" }, Output = { $"nested_{depth}" } };
            node.Attribute.Add(new AttributeProto { Name = "then_branch", G = body });
            graph.Node.Add(node);
            graph = body;
        }
    }
}
