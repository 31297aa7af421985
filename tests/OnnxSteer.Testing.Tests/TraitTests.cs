using OnnxSteer.Fixtures;

namespace OnnxSteer.Testing.Tests;

/// <summary>The trait that the demonstration brings out.</summary>
public sealed class TraitTests
{
    private static readonly Trait Sad = Trait.Read(Path.Combine(Folders.Models, "prompts"));

    [Theory]
    [InlineData("Tom was sad.", true)]
    [InlineData("SAD!", true)]
    [InlineData("so,sad", true)]
    [InlineData("Tom was a sadist.", false)]
    [InlineData("Tom sat.", false)]
    [InlineData("", false)]
    public void A_text_has_it_by_whole_words(string text, bool isIn) => Assert.Equal(isIn, Sad.IsIn(text));

    [Fact]
    public void No_text_that_goes_in_gives_the_trait_away()
    {
        Assert.NotEmpty(Sad.Words);
        foreach (var prompts in new[] { Sad.Source, Sad.Target, Sad.Openings, Sad.Neutral })
            Assert.DoesNotContain(prompts, prompt => Sad.IsIn(prompt.Text!));
        Assert.True(Sad.IsIn(Sad.Asking));
    }

    [Fact]
    public void What_is_measured_on_was_not_fitted_on()
    {
        Assert.Equal(Sad.Source.Count, Sad.Target.Count);
        Assert.Empty(Sad.Openings.Concat(Sad.Neutral).Select(prompt => prompt.Text).Intersect(Sad.Source.Concat(Sad.Target).Select(prompt => prompt.Text)));
    }
}
