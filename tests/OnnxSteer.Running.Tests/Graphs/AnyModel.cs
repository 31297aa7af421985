using System.Collections.Immutable;
using System.Runtime.InteropServices;
using Google.Protobuf;
using OnnxSteer.Onnx.Patching;
using OnnxSteer.Onnx.Protobuf;
using OnnxSteer.Ort;

namespace OnnxSteer.Running.Tests.Graphs;

/// <summary>Runs models of which nothing is known, and patches them so that nothing changes.</summary>
internal static class AnyModel
{
    private static readonly SessionOptions Options = new() { IntraOpThreads = 1, LogSeverity = LogSeverity.Fatal };

    /// <summary>All outputs that are tensors, by name, as bytes; strings as UTF-16.</summary>
    public static Dictionary<string, (ElementType Type, byte[] Bytes)> Run(Model model, IReadOnlyDictionary<string, OrtValue> inputs)
    {
        using var session = Session.Open(model.Source.ToArray(), Options, model.Folder);
        using var outputs = session.Run(inputs);
        return outputs.Names.Zip(outputs).Where(pair => pair.Second.Kind == ValueKind.Tensor).ToDictionary(pair => pair.First, pair =>
            (pair.Second.ElementType, pair.Second.ElementType == ElementType.String ? MemoryMarshal.AsBytes(string.Join('\n', pair.Second.Strings()).AsSpan()).ToArray() : pair.Second.Bytes().ToArray()));
    }

    /// <summary>The first input set that lies beside a model of ONNX's tests; null where an input is no tensor.</summary>
    public static Dictionary<string, OrtValue>? InputsOf(Model model)
    {
        using var session = Session.Open(model.Source.ToArray(), Options, model.Folder);
        var inputs = new Dictionary<string, OrtValue>();
        foreach (var (i, input) in session.Inputs.Index())
        {
            if (input.Kind != ValueKind.Tensor)
                return null;
            var file = Path.Combine(model.Folder!, "test_data_set_0", $"input_{i}.pb");
            inputs[input.Name] = File.Exists(file) ? Read(file) : Made(input, i);
        }
        return inputs;
    }

    /// <summary>Where two runs differ in more than a zero's sign or the bits of a NaN.</summary>
    public static IEnumerable<string> Differing(Dictionary<string, (ElementType Type, byte[] Bytes)> expected, Dictionary<string, (ElementType Type, byte[] Bytes)> actual)
    {
        foreach (var (name, (type, bytes)) in expected)
            if (!actual.TryGetValue(name, out var other) || other.Type != type || !Same(type, bytes, other.Bytes))
                yield return name;
    }

    /// <summary>
    /// The patch that steers every float output by the identity: through the site <c>value:NAME</c>, or, where its channels are
    /// not known, by a product with one and a sum with zero. Null where the model has no float output that a node makes.
    /// </summary>
    public static (GraphPatch Patch, int Sites, int Bare)? IdentityPatch(Model model)
    {
        var facts = Onnx.Inference.FactTable.Of(model.Graph);
        var outputs = model.Graph.Outputs.Select(output => output.Name).Distinct()
            .Where(name => model.Graph.Producer(name) is not null && facts[name].DataType is DataType.Float32 or DataType.Float16 or DataType.Float64).ToList();
        if (outputs.Count == 0)
            return null;
        var table = SiteTable.Of(model);
        var (sites, bare) = (new List<Site>(), new List<string>());
        foreach (var name in outputs)
            try
            {
                sites.Add(table.Find($"value:{name}"));
            }
            catch (OnnxException)
            {
                bare.Add(name);
            }
        var transports = sites.Select(site => new SiteTransport(site.Name, Transport.Of(site.Name, [.. Enumerable.Repeat(1f, site.Channels)], [.. Enumerable.Repeat(0f, site.Channels)])));
        var patch = sites.Count > 0 ? Steering.Patch(model, new SteeringMap(transports), new SteeringOptions { AllowIdentity = true })
            : GraphPatch.Empty with { Title = new PatchTitle("identity", ImmutableSortedDictionary<string, string>.Empty) };
        foreach (var (i, name) in bare.Index())
        {
            var type = facts[name].DataType;
            patch = patch.With(Scalar($"onnxsteer.one.{i}", type, 1), Scalar($"onnxsteer.zero.{i}", type, 0)).Intercept(model, new ValuePlace(Graph.MainPath, name), "identity", (from, to) =>
            [
                new NodeProto { OpType = "Mul", Input = { from, $"onnxsteer.one.{i}" }, Output = { $"onnxsteer.product.{i}" } },
                new NodeProto { OpType = "Add", Input = { $"onnxsteer.product.{i}", $"onnxsteer.zero.{i}" }, Output = { to } },
            ]);
        }
        return (patch, sites.Count, bare.Count);
    }

    private static AddInitializer Scalar(string name, DataType type, double value) => new("identity", Graph.MainPath, new TensorProto
    {
        Name = name,
        DataType = (int)type,
        RawData = ByteString.CopyFrom(type switch { DataType.Float32 => BitConverter.GetBytes((float)value), DataType.Float16 => BitConverter.GetBytes((Half)value), _ => BitConverter.GetBytes(value) }),
    });

    private static bool Same(ElementType type, byte[] expected, byte[] actual) => expected.AsSpan().SequenceEqual(actual) || type switch
    {
        ElementType.Float => Same<float>(expected, actual),
        ElementType.Float16 => Same<Half>(expected, actual),
        ElementType.Double => Same<double>(expected, actual),
        _ => false,
    };

    // Equal values are equal bits but for zeros, and no NaN is equal to itself.
    private static bool Same<T>(byte[] expected, byte[] actual) where T : unmanaged, System.Numerics.IFloatingPointIeee754<T>
    {
        var left = MemoryMarshal.Cast<byte, T>(expected);
        var right = MemoryMarshal.Cast<byte, T>(actual);
        if (left.Length != right.Length)
            return false;
        for (var i = 0; i < left.Length; i++)
            if (left[i] != right[i] && !(T.IsNaN(left[i]) && T.IsNaN(right[i])))
                return false;
        return true;
    }

    // The file holds a tensor as an initializer does, so a model around it reads it.
    private static OrtValue Read(string file)
    {
        var proto = TensorProto.Parser.ParseFrom(File.ReadAllBytes(file));
        if (proto.DataType == (int)DataType.String)
            return OrtValue.FromStrings([.. proto.StringData.Select(text => text.ToStringUtf8())], [.. proto.Dims]);
        var model = Model.Parse(new ModelProto { IrVersion = 8, Graph = new GraphProto { Initializer = { proto } } }.ToByteArray());
        return OrtValue.FromMemory((ElementType)proto.DataType, model.Graph.Initializers[0].ToBytes(), [.. proto.Dims]);
    }

    private static OrtValue Made(Ort.ValueInfo input, int seed)
    {
        long[] shape = [.. input.Dimensions.Select(dim => dim.Size ?? 2)];
        var count = shape.Aggregate(1L, (product, size) => product * size);
        var random = new Random(seed);
        return input.ElementType switch
        {
            ElementType.Float => OrtValue.FromMemory([.. Enumerable.Range(0, (int)count).Select(_ => random.NextSingle() * 2 - 1)], shape),
            ElementType.Double => OrtValue.FromMemory([.. Enumerable.Range(0, (int)count).Select(_ => random.NextDouble() * 2 - 1)], shape),
            ElementType.Int64 => OrtValue.FromMemory([.. Enumerable.Range(0, (int)count).Select(_ => (long)random.Next(3))], shape),
            _ => OrtValue.Allocate(input.ElementType, shape),
        };
    }
}
