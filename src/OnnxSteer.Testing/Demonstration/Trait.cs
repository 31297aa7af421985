using System.Collections.Immutable;
using System.Text.RegularExpressions;

namespace OnnxSteer.Testing;

/// <summary>A trait of texts that the demonstration brings out, and how: prompts, words that show it, and the settings of the fit.</summary>
/// <param name="Name">What a reader would call it.</param>
/// <param name="Source">Sentences without the trait.</param>
/// <param name="Target">Sentences with it.</param>
/// <param name="Openings">Beginnings of texts to continue, used for nothing else.</param>
/// <param name="Neutral">Texts without the trait, to measure what steering costs.</param>
/// <param name="Words">A text has the trait if one of these occurs in it as a whole word.</param>
/// <param name="Asking">What one would write before a prompt to get the trait without steering.</param>
/// <param name="Sites">The sites to steer.</param>
/// <param name="Method">How to fit them.</param>
/// <param name="Pooling">How tokens become samples.</param>
/// <param name="Band">The support of the maps.</param>
public sealed partial record Trait(
    string Name, PromptSet Source, PromptSet Target, PromptSet Openings, PromptSet Neutral, ImmutableHashSet<string> Words, string Asking,
    string Sites, IFitMethod Method, Pooling Pooling, Band Band)
{
    /// <summary>Reads the trait that comes with the models.</summary>
    /// <param name="folder">The folder of its prompt files.</param>
    public static Trait Read(string folder)
    {
        PromptSet Set(string name) => PromptFile.Read(Path.Combine(folder, name));
        return new Trait("sad stories", Set("source.txt"), Set("target.txt"), Set("openings.txt"), Set("neutral.txt"),
            [.. Set("words.txt").Select(word => word.Text!.Trim())], "This is a sad story.", @".*(o_proj|down_proj|norm)", new MeanFit(), Pooling.Last, Band.QAll);
    }

    /// <summary>Whether a text has the trait.</summary>
    public bool IsIn(string text) => Word().Matches(text).Any(match => Words.Contains(match.Value.ToLowerInvariant()));

    [GeneratedRegex(@"\p{L}+")]
    private static partial Regex Word();
}
