using System.Collections.Immutable;
using OnnxSteer.Onnx;
using OnnxSteer.Ort;

namespace OnnxSteer.Running;

/// <summary>One run of a model on tensors from a file, for checking by hand.</summary>
public static class BareRun
{
    /// <summary>
    /// Runs a model once and writes all its outputs, and the values of tapped sites under the sites' names. Inputs of a
    /// language model that the file leaves out besides the token ids are filled in: a mask of ones, positions from 0, an empty
    /// cache.
    /// </summary>
    /// <returns>What was written: name and shape.</returns>
    /// <exception cref="OnnxException">An input is missing, unknown, or does not fit.</exception>
    public static IReadOnlyList<(string Name, ImmutableArray<long> Shape)> Run(
        Model model, string inputs, string outputs, ImmutableArray<Site> sites, SessionOptions? options = null, CancellationToken cancel = default)
    {
        var (patch, taps) = SiteTaps.Whole(model, sites);
        using var session = Sessions.Open(patch.Edits.IsEmpty ? model : model.Apply(patch), options);
        var feeds = ReadInputs(inputs, session);
        try
        {
            FillIn(model, session, feeds);
            using var results = session.Run(feeds, null, null, cancel);
            var tensors = model.Graph.Outputs.Select(output => ToTensor(output.Name, results[output.Name], null))
                .Concat(taps.SelectMany(tap => tap.Parts.Select(part =>
                    ToTensor(tap.Parts.Length == 1 ? tap.Site.Name : $"{tap.Site.Name}[{part.Place.ModuleRange}]", results[part.Output], part.Place.At.Range)))).ToList();
            SafetensorsWriter.Write(outputs, tensors);
            return [.. tensors.Select(tensor => (tensor.Name, tensor.Shape))];
        }
        finally
        {
            foreach (var value in feeds.Values)
                value.Dispose();
        }
    }

    private static Dictionary<string, OrtValue> ReadInputs(string path, Session session)
    {
        using var file = SafetensorsFile.Open(path);
        var known = session.Inputs.Concat(session.OverridableInitializers).ToDictionary(input => input.Name);
        var feeds = new Dictionary<string, OrtValue>();
        foreach (var tensor in file.Tensors)
        {
            if (!known.TryGetValue(tensor.Name, out var input))
                throw new OnnxException($"{path}: tensor '{tensor.Name}' is no input of the model. Its inputs: {string.Join(", ", known.Values)}.");
            var type = ElementTypeOf(tensor.Type);
            if (type != input.ElementType)
                throw new OnnxException($"{path}: tensor '{tensor.Name}' is {tensor.Type}, but the model's input is {input}.");
            feeds[tensor.Name] = OrtValue.FromMemory(type, file.ReadBytes(tensor.Name), tensor.Shape.AsSpan());
        }
        return feeds;
    }

    private static void FillIn(Model model, Session session, Dictionary<string, OrtValue> feeds)
    {
        if (DecoderSignature.TryOf(model) is not { } signature || !feeds.TryGetValue(signature.InputIds, out var ids) || ids.Shape.Length != 2)
            return;
        var config = DecoderConfig.Of(model);
        var (rows, columns) = (ids.Shape[0], ids.Shape[1]);
        foreach (var input in session.Inputs.Where(input => !feeds.ContainsKey(input.Name)))
        {
            if (signature.Cache.FirstOrDefault(tensor => tensor.Past == input.Name) is { } cache
                && (cache.Heads ?? config.KeyValueHeads) is { } heads && (cache.HeadSize ?? config.HeadSize) is { } size)
            {
                feeds[input.Name] = OrtValue.Allocate(input.ElementType, rows, heads, signature.UseCacheBranch is null ? 0 : 1, size);
                feeds[input.Name].Bytes().Clear();
            }
            else if (input.Name == signature.UseCacheBranch)
                feeds[input.Name] = OrtValue.FromMemory<bool>([false], 1);
            else if (input.ElementType == ElementType.Int64 && (input.Name == signature.AttentionMask || input.Name == signature.PositionIds))
                feeds[input.Name] = OrtValue.FromMemory(
                    Enumerable.Range(0, (int)(rows * columns)).Select(i => input.Name == signature.AttentionMask ? 1 : i % columns).ToArray(), rows, columns);
        }
    }

    private static SafetensorsTensor ToTensor(string name, OrtValue value, AxisRange? range)
    {
        var type = Enum.GetValues<SafetensorsType>().Cast<SafetensorsType?>().FirstOrDefault(type => ElementTypeOf(type!.Value) == value.ElementType)
            ?? throw new OnnxException($"The output '{name}' is {value}, which a safetensors file cannot hold.");
        ImmutableArray<long> shape = [.. value.Shape];
        var bytes = value.Bytes();
        if (range is not { } part)
            return SafetensorsTensor.OfBytes(name, type, shape, bytes.ToArray());
        var size = bytes.Length / (int)value.Length;
        var (width, cut) = ((int)shape[^1] * size, new MemoryStream());
        for (var row = 0; row < bytes.Length; row += width)
            cut.Write(bytes.Slice(row + part.Start * size, part.Length * size));
        return SafetensorsTensor.OfBytes(name, type, [.. shape[..^1], part.Length], cut.ToArray());
    }

    private static ElementType ElementTypeOf(SafetensorsType type) => type switch
    {
        SafetensorsType.F64 => ElementType.Double,
        SafetensorsType.F32 => ElementType.Float,
        SafetensorsType.F16 => ElementType.Float16,
        SafetensorsType.BF16 => ElementType.BFloat16,
        SafetensorsType.I64 => ElementType.Int64,
        SafetensorsType.I32 => ElementType.Int32,
        SafetensorsType.I16 => ElementType.Int16,
        SafetensorsType.I8 => ElementType.Int8,
        SafetensorsType.U64 => ElementType.UInt64,
        SafetensorsType.U32 => ElementType.UInt32,
        SafetensorsType.U16 => ElementType.UInt16,
        SafetensorsType.U8 => ElementType.UInt8,
        SafetensorsType.BOOL => ElementType.Bool,
        _ => ElementType.Undefined,
    };
}
