using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Globalization;
using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>An execution provider whose kernels are known without running it.</summary>
public enum Provider
{
    /// <summary>NVIDIA, CUDA.</summary>
    Cuda,

    /// <summary>DirectML.</summary>
    Dml,
}

/// <summary>
/// The kernels of one execution provider: which operators, in which opsets, for which element types. From ONNX Runtime's
/// own <c>docs/OperatorKernels.md</c> (commit 001d12d), which is generated from the registered kernels.
/// </summary>
internal sealed class KernelTable
{
    private static readonly FrozenDictionary<string, DataType> TypesByName = new Dictionary<string, DataType>
    {
        ["f16"] = DataType.Float16, ["bf16"] = DataType.BFloat16, ["f32"] = DataType.Float32, ["f64"] = DataType.Float64,
        ["i4"] = DataType.Int4, ["i8"] = DataType.Int8, ["i16"] = DataType.Int16, ["i32"] = DataType.Int32, ["i64"] = DataType.Int64,
        ["u4"] = DataType.UInt4, ["u8"] = DataType.UInt8, ["u16"] = DataType.UInt16, ["u32"] = DataType.UInt32, ["u64"] = DataType.UInt64,
        ["bool"] = DataType.Bool, ["string"] = DataType.String, ["f4"] = DataType.Float4E2M1, ["f8e4m3fn"] = DataType.Float8E4M3FN,
        ["f8e4m3fnuz"] = DataType.Float8E4M3FNUZ, ["f8e5m2"] = DataType.Float8E5M2, ["f8e5m2fnuz"] = DataType.Float8E5M2FNUZ,
        ["i2"] = DataType.Int2, ["u2"] = DataType.UInt2,
    }.ToFrozenDictionary();

    private readonly ILookup<string, Kernel> _kernels;

    private KernelTable(ILookup<string, Kernel> kernels) => _kernels = kernels;

    /// <summary>One kernel: the opsets it serves and what each input may be; the last entry holds for all further inputs.</summary>
    internal sealed record Kernel(string Operator, long First, long Last, ImmutableArray<FrozenSet<DataType>> Inputs)
    {
        public string Opsets => Last == long.MaxValue ? $"{First}+" : First == Last ? $"{First}" : $"{First}-{Last}";
    }

    public static KernelTable Of(Provider provider) => provider == Provider.Cuda ? CudaTable.Value : DmlTable.Value;

    private static readonly Lazy<KernelTable> CudaTable = new(() => Read("cuda"));
    private static readonly Lazy<KernelTable> DmlTable = new(() => Read("dml"));

    /// <summary>Why a node has no kernel, or null where it has one.</summary>
    /// <param name="node">The node.</param>
    /// <param name="typeOf">The element type of a value; undefined where unknown, which no kernel minds.</param>
    public string? Missing(Node node, Func<string, DataType> typeOf)
    {
        var kernels = _kernels[NameOf(node)].ToList();
        if (kernels.Count == 0)
            return "no kernel for this operator";
        var opset = node.Graph.Opset(node.Domain) ?? 1;
        // DirectML's rows state no end: a newer one takes the older one's place.
        var fitting = kernels.Where(kernel => kernel.First <= opset && opset <= kernel.Last).MaxBy(kernel => kernel.First);
        return fitting is null ? $"no kernel for opset {opset}; there are kernels for {string.Join(", ", kernels.Select(kernel => kernel.Opsets))}" : Refused(node, fitting, typeOf);
    }

    private static string? Refused(Node node, Kernel kernel, Func<string, DataType> typeOf)
    {
        for (var i = 0; i < node.Inputs.Length && !kernel.Inputs.IsEmpty; i++)
        {
            if (node.Input(i) is not { } value || typeOf(value) is not (not DataType.Undefined and var type))
                continue;
            var allowed = kernel.Inputs[Math.Min(i, kernel.Inputs.Length - 1)];
            if (allowed.Count > 0 && !allowed.Contains(type))
                return $"input {i} is {type.Name()}; the kernel takes {string.Join(", ", allowed.Order().Select(DataTypes.Name))}";
        }
        return null;
    }

    private static string NameOf(Node node) => node.Domain is "" or "ai.onnx" ? node.OpType : $"{node.Domain}.{node.OpType}";

    private static KernelTable Read(string provider)
    {
        using var stream = typeof(KernelTable).Assembly.GetManifestResourceStream($"{provider}.kernels.txt")!;
        using var reader = new StreamReader(stream);
        var kernels = new List<Kernel>();
        while (reader.ReadLine() is { } line)
            kernels.Add(Parse(line));
        return new KernelTable(kernels.ToLookup(kernel => kernel.Operator));
    }

    // OPERATOR|OPSETS|CONSTRAINT,CONSTRAINT|CONSTRAINT=TYPE,TYPE;CONSTRAINT=TYPE
    private static Kernel Parse(string line)
    {
        var fields = line.Split('|');
        var constraints = fields[3].Split(';', StringSplitOptions.RemoveEmptyEntries).Select(constraint => constraint.Split('='))
            .ToDictionary(parts => parts[0], parts => Types(parts[1]));
        var (first, last) = fields[1] switch
        {
            [.. var from, '+'] => (Number(from), long.MaxValue),
            var range when range.IndexOf('-') is > 0 and var at => (Number(range[..at]), Number(range[(at + 1)..])),
            var one => (Number(one), Number(one)),
        };
        return new Kernel(fields[0], first, last,
            [.. fields[2].Split(',', StringSplitOptions.RemoveEmptyEntries).Select(input => constraints.GetValueOrDefault(input) ?? Types(input))]);
    }

    private static long Number(string text) => long.Parse(text, CultureInfo.InvariantCulture);

    // Sequences and optionals are not looked into: a constraint that names no tensor type refuses none.
    private static FrozenSet<DataType> Types(string list) =>
        list.Split(',').Select(name => TypesByName.GetValueOrDefault(name)).Where(type => type != DataType.Undefined).ToFrozenSet();
}
