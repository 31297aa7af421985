using System.Collections.Immutable;
using System.Runtime.InteropServices;

namespace OnnxSteer.Conformance;

/// <summary>A model folder, opened by onnxruntime-genai.</summary>
internal sealed class GenaiModel : IDisposable
{
    private readonly nint model, adapters;

    public GenaiModel(string folder)
    {
        GenaiLibrary.Check(GenaiLibrary.OgaCreateModel(folder, out model));
        GenaiLibrary.Check(GenaiLibrary.OgaCreateAdapters(model, out adapters));
    }

    public void Dispose()
    {
        GenaiLibrary.OgaDestroyAdapters(adapters);
        GenaiLibrary.OgaDestroyModel(model);
    }

    /// <summary>Loads an adapter file under a name.</summary>
    public void Load(string path, string name) => GenaiLibrary.Check(GenaiLibrary.OgaLoadAdapter(adapters, path, name));

    /// <summary>Greedy tokens that follow each prompt, an end token included; shorter prompts are filled up on the right.</summary>
    public int[][] Generate(IReadOnlyList<ImmutableArray<int>> prompts, int count, int endId, int padId, string? adapter = null)
    {
        var columns = prompts.Max(prompt => prompt.Length);
        using var generator = new Generator(model, prompts.Count, columns + count);
        if (adapter is not null)
            generator.Use(adapters, adapter);
        generator.Append([.. prompts.SelectMany(prompt => prompt.Concat(Enumerable.Repeat(padId, columns - prompt.Length)))]);
        while (!generator.IsDone)
            generator.Next();
        return [.. prompts.Select((_, row) => UpTo(generator.Sequence(row)[columns..], endId))];
    }

    /// <summary>The logits behind a prompt's last token.</summary>
    public float[] Logits(ImmutableArray<int> prompt)
    {
        using var generator = new Generator(model, 1, prompt.Length + 1);
        generator.Append([.. prompt]);
        var logits = generator.Logits();
        return logits;
    }

    private static int[] UpTo(int[] ids, int endId) => Array.IndexOf(ids, endId) is var end and >= 0 ? ids[..(end + 1)] : ids;

    private sealed class Generator : IDisposable
    {
        private readonly nint parameters, generator;

        public Generator(nint model, int rows, int length)
        {
            GenaiLibrary.Check(GenaiLibrary.OgaCreateGeneratorParams(model, out parameters));
            GenaiLibrary.Check(GenaiLibrary.OgaGeneratorParamsSetSearchNumber(parameters, "batch_size", rows));
            GenaiLibrary.Check(GenaiLibrary.OgaGeneratorParamsSetSearchNumber(parameters, "max_length", length));
            GenaiLibrary.Check(GenaiLibrary.OgaCreateGenerator(model, parameters, out generator));
        }

        public bool IsDone => GenaiLibrary.OgaGenerator_IsDone(generator);

        public void Use(nint adapters, string name) => GenaiLibrary.Check(GenaiLibrary.OgaSetActiveAdapter(generator, adapters, name));

        public void Append(int[] ids) => GenaiLibrary.Check(GenaiLibrary.OgaGenerator_AppendTokens(generator, ids, (nuint)ids.Length));

        public void Next() => GenaiLibrary.Check(GenaiLibrary.OgaGenerator_GenerateNextToken(generator));

        public int[] Sequence(int row)
        {
            var ids = new int[GenaiLibrary.OgaGenerator_GetSequenceCount(generator, (nuint)row)];
            Marshal.Copy(GenaiLibrary.OgaGenerator_GetSequenceData(generator, (nuint)row), ids, 0, ids.Length);
            return ids;
        }

        public float[] Logits()
        {
            GenaiLibrary.Check(GenaiLibrary.OgaGenerator_GetLogits(generator, out var tensor));
            GenaiLibrary.Check(GenaiLibrary.OgaTensorGetShapeRank(tensor, out var rank));
            var shape = new long[rank];
            GenaiLibrary.Check(GenaiLibrary.OgaTensorGetShape(tensor, shape, rank));
            GenaiLibrary.Check(GenaiLibrary.OgaTensorGetData(tensor, out var data));
            var logits = new float[shape.Aggregate((a, b) => a * b)];
            Marshal.Copy(data, logits, 0, logits.Length);
            GenaiLibrary.OgaDestroyTensor(tensor);
            return logits;
        }

        public void Dispose()
        {
            GenaiLibrary.OgaDestroyGenerator(generator);
            GenaiLibrary.OgaDestroyGeneratorParams(parameters);
        }
    }
}
