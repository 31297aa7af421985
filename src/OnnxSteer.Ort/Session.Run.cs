using System.Buffers;
using System.Runtime.CompilerServices;
using OnnxSteer.Ort.Native;

namespace OnnxSteer.Ort;

public sealed unsafe partial class Session
{
    private const int PointersOnStack = 256;

    private readonly string[] outputNames;

    // An output that is an input, untouched, is the same tensor: its memory is the caller's.
    private readonly bool passedThrough;

    /// <summary>Runs the model.</summary>
    /// <param name="inputs">A value for every input, and for any overridable initializers.</param>
    /// <param name="outputNames">The outputs to compute, or null for all.</param>
    /// <param name="options">How this run differs from others, or null.</param>
    /// <param name="cancel">Ends the run before the next node.</param>
    /// <returns>The outputs, in the order asked for; to be disposed.</returns>
    /// <exception cref="ArgumentException">The model has no input or output of a given name, or an input is missing.</exception>
    /// <exception cref="OrtException">An input does not fit, or a node failed.</exception>
    /// <exception cref="OperationCanceledException">The run was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">The session, an input or an adapter was disposed.</exception>
    public OrtValues Run(
        IReadOnlyDictionary<string, OrtValue> inputs,
        IReadOnlyList<string>? outputNames = null,
        RunOptions? options = null,
        CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        var names = new string[inputs.Count];
        var values = new OrtValue[inputs.Count];
        var i = 0;
        foreach (var (name, value) in inputs)
            (names[i], values[i++]) = (name, value);
        var wanted = outputNames is null ? this.outputNames : outputNames as string[] ?? [.. outputNames];
        var outputs = new OrtValue?[wanted.Length];
        Run(names, values, wanted, outputs, options, cancel);
        return new OrtValues(wanted, outputs!);
    }

    /// <summary>Runs the model with as little around it as possible, into outputs that the caller may provide.</summary>
    /// <param name="inputNames">The names of the inputs that are given.</param>
    /// <param name="inputs">Their values, in the same order.</param>
    /// <param name="outputNames">The outputs to compute.</param>
    /// <param name="outputs">
    /// As many places: a value is written in place and must have the output's type and shape; null is replaced by a value that
    /// ONNX Runtime allocates, which is the caller's to dispose. A run that fails replaces none.
    /// </param>
    /// <param name="options">How this run differs from others, or null.</param>
    /// <param name="cancel">Ends the run before the next node.</param>
    /// <exception cref="ArgumentException">
    /// Numbers of names and values differ, or the model has no input or output of a given name, or an input is missing.
    /// </exception>
    /// <exception cref="OrtException">An input does not fit, an output does not fit, or a node failed.</exception>
    /// <exception cref="OperationCanceledException">The run was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">The session, a value or an adapter was disposed.</exception>
    [SkipLocalsInit]
    public void Run(
        ReadOnlySpan<string> inputNames,
        ReadOnlySpan<OrtValue> inputs,
        ReadOnlySpan<string> outputNames,
        Span<OrtValue?> outputs,
        RunOptions? options = null,
        CancellationToken cancel = default)
    {
        if (inputNames.Length != inputs.Length)
            throw new ArgumentException($"There are {inputNames.Length} input names, but {inputs.Length} values.",
                nameof(inputs));
        if (outputNames.Length != outputs.Length)
            throw new ArgumentException($"There are {outputNames.Length} output names, but {outputs.Length} places.",
                nameof(outputs));

        // Four runs of pointers: input names, inputs, output names, outputs; and the outputs that the caller provides.
        int feeds = inputs.Length, fetches = outputs.Length, pointers = (2 * feeds) + (3 * fetches);
        nint[]? rented = null;
        var table = pointers <= PointersOnStack
            ? stackalloc nint[PointersOnStack]
            : rented = ArrayPool<nint>.Shared.Rent(pointers);
        var provided = table.Slice((2 * feeds) + (2 * fetches), fetches);
        int feedsInUse = 0, fetchesInUse = 0, required = 0;
        try
        {
            using var session = Use();
            using var run = new NativeRun(options, cancel);
            for (var i = 0; i < feeds; i++)
            {
                var (name, isRequired) = Feed(inputNames[i]);
                table[i] = name;
                required += isRequired ? 1 : 0;
                var value = inputs[i] ?? throw new ArgumentException($"The input '{inputNames[i]}' is null.", nameof(inputs));
                table[feeds + i] = (nint)value.AddUse().Pointer;
                feedsInUse++;
            }

            // ONNX Runtime notices only when a node needs it, and takes it for an optional input where a node has such. Adapters
            // may bring inputs of their own.
            if (required < Inputs.Count && options is not { Adapters.Count: > 0 })
                throw Missing(inputNames);

            for (var i = 0; i < fetches; i++)
            {
                table[(2 * feeds) + i] = Fetch(outputNames[i]);
                provided[i] = 0;
                if (outputs[i] is { } value)
                {
                    provided[i] = (nint)value.AddUse().Pointer;
                }
                fetchesInUse++;
                table[(2 * feeds) + fetches + i] = provided[i];
            }

            fixed (nint* start = table)
            {
                var names = (byte**)start;
                var status = OrtLibrary.Api->Run(session.Pointer, run.Pointer, names, (void**)(names + feeds), (nuint)feeds,
                    names + (2 * feeds), (nuint)fetches, (void**)(names + (2 * feeds) + fetches));
                if (status != null)
                    throw Explain(NativeRun.Error(status, cancel), inputNames, inputs);
            }

            for (var i = 0; i < fetches; i++)
                if (provided[i] == 0)
                    outputs[i] = new OrtValue((void*)table[(2 * feeds) + fetches + i],
                        passedThrough ? SourceOf(outputNames[i], inputNames, inputs, options) : null);
        }
        finally
        {
            for (var i = 0; i < feedsInUse; i++)
                inputs[i].EndUse();
            for (var i = 0; i < fetchesInUse; i++)
                if (provided[i] != 0)
                    outputs[i]!.EndUse();
            if (rented is not null)
                ArrayPool<nint>.Shared.Return(rented);
        }
    }

    /// <summary>A set of inputs and outputs that stays bound from run to run.</summary>
    /// <exception cref="ObjectDisposedException">The session was disposed.</exception>
    public IoBinding CreateBinding() => new(this);

    /// <summary>What an output that is an input reads: the input given, or an adapter's parameter.</summary>
    private HeldUses? SourceOf(
        string output, ReadOnlySpan<string> inputNames, ReadOnlySpan<OrtValue> inputs, RunOptions? options)
    {
        if (!feeds.Contains(output))
            return null;
        // The run still uses them all, so that even one disposed meanwhile can be held.
        var held = new HeldUses();
        for (var i = 0; i < (options?.Adapters.Count ?? 0); i++)
            held.Hold($"adapter {i}", options!.Adapters[i].KeepUse());
        for (var i = 0; i < inputs.Length; i++)
            if (inputNames[i] == output)
                held.Hold("input", inputs[i].KeepUse());
        return held;
    }

    /// <summary>ONNX Runtime says little about an input that does not fit; this adds what was given and is taken.</summary>
    private Exception Explain(Exception error, ReadOnlySpan<string> inputNames, ReadOnlySpan<OrtValue> inputs)
    {
        if (error is not OrtException { Code: OrtErrorCode.InvalidArgument } ort)
            return error;
        var given = new string[inputs.Length];
        for (var i = 0; i < given.Length; i++)
            given[i] = $"{inputNames[i]}: {inputs[i]}";
        return new OrtException(ort.Code,
            $"{ort.Message}\nGiven: {(given.Length == 0 ? "nothing" : string.Join(", ", given))}. {DescribeFeeds()}", ort);
    }
}
