using OnnxSteer.Fixtures;
using OnnxSteer.Onnx.Patching;
using OnnxSteer.Onnx.Storage;

namespace OnnxSteer.Running.Tests;

/// <summary>What is written to disk is what was in memory, and loads with ONNX Runtime's default optimizations.</summary>
public sealed class SavedModelTests
{
    public static TheoryData<string, Kind> Cases => StrengthTests.Cases;

    [SharedTheory, MemberData(nameof(Cases))]
    public void A_saved_folder_gives_the_bits_of_the_model_in_memory(string export, Kind kind)
    {
        var subject = Subject.Of(export);
        using var folder = new TemporaryFolder();
        var number = 0;
        // Where sessions open slowly the patches are shared out among the kinds.
        foreach (var (pattern, options) in Patches.Where((_, i) => !subject.IsSlow || i % 4 == (int)kind))
        {
            var steered = subject.Model.Apply(Steering.Patch(subject.Model, subject.Map(kind, subject.Table.Matching(pattern)), options));
            var path = folder[$"{number++}"];
            steered.SaveTo(path);
            var saved = ModelFile.Open(path);
            Assert.NotNull(saved.Path);
            Assert.Equal(steered.Source.ToArray(), File.ReadAllBytes(saved.Path));
            using var fromDisk = new Runner(saved);
            using var fromMemory = new Runner(steered);
            var (expected, actual) = (subject.Calls(fromMemory), subject.Calls(fromDisk));
            Assert.Empty(Bits.Differing(expected[0], actual[0]).Concat(Bits.Differing(expected[1], actual[1])));
            Assert.False(Bits.Same(subject.Unsteered[0]["logits"], actual[0]["logits"]), $"{pattern}: nothing changed");
            Assert.Equal(Companions(subject.Model.Folder!), Companions(path));
            Assert.Equal(subject.Model.Source.ToArray(), PatchRecord.Undo(saved).Source.ToArray());
        }
    }

    // A few sites each of every kind of place, in every mode and at all positions; each site by itself is opened from
    // memory elsewhere.
    private static IEnumerable<(string Pattern, SteeringOptions Options)> Patches =>
    [
        (".*", new SteeringOptions { Strength = 0.3f }),
        (".*", new SteeringOptions { Mode = Mode.Live, Strength = 0.3f, Label = "all" }),
        (".*(layernorm|norm)", new SteeringOptions { Mode = Mode.Live, Positions = Positions.Prompt }),
        (@".*layers\.\d", new SteeringOptions { Positions = Positions.Last }),
        (@"model\.layers\.4", new SteeringOptions { Mode = Mode.Live }),
        (@".*self_attn\.[qv]_proj", new SteeringOptions { Positions = Positions.Prompt }),
        (@"lm_head|.*embed_tokens", new SteeringOptions { Mode = Mode.Live, Positions = Positions.Last }),
    ];

    private static List<string> Companions(string folder) =>
        [.. Directory.EnumerateFiles(folder).Select(Path.GetFileName).Where(name => name != "sites.json" && name != "model.onnx").Select(name => name!).Order(StringComparer.Ordinal)];
}
