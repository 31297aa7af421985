using System.Text.Json;
using OnnxSteer.Fixtures;

namespace OnnxSteer.Tokenizers.Tests;

/// <summary>What transformers renders.</summary>
public sealed class ChatGoldenTests
{
    // The clock of the goldens.
    private static readonly StoppedClock Clock = new(new DateTimeOffset(2024, 7, 26, 9, 5, 7, TimeSpan.Zero));

    // By their README: of errors, only what raise_exception says needs to agree.
    private const string Raised = "TemplateError";

    [SharedFact]
    public void RendersEveryCase()
    {
        var rows = Golden.Rows("chat_templates.jsonl");
        var templates = rows.Where(row => row.Text("kind") == "template").ToDictionary(row => row.Text("name"));
        var counts = (Rendered: 0, Spans: 0, Raised: 0, Failed: 0);
        Golden.AllHold(rows.Where(row => row.Text("kind") == "case"), row =>
        {
            var template = templates[row.Text("template")];
            RenderedChat rendered;
            try
            {
                rendered = ChatTemplate.Parse(template.Text("template"), template.GetProperty("vars")).Render(row.GetProperty("messages"), new ChatOptions
                {
                    AddGenerationPrompt = row.Flag("add_generation_prompt"),
                    Tools = row.TryGetProperty("tools", out var tools) ? tools : null,
                    Variables = row.TryGetProperty("vars", out var vars) ? vars : null,
                    Clock = Clock,
                });
            }
            catch (TokenizerException exception)
            {
                if (row.TextOrNull("error") is not { } error)
                    return $"threw {exception.Message}";
                if (row.Text("error_type") != Raised)
                {
                    counts.Failed++;
                    return null;
                }
                counts.Raised++;
                return exception.Message.EndsWith($": {error}", StringComparison.Ordinal) ? null : $"expected the message '{error}', found '{exception.Message}'";
            }
            if (row.TextOrNull("rendered") is not { } expected)
                return $"expected {row.Text("error")}, rendered '{rendered.Text}'";
            counts.Rendered++;
            if (row.TryGetProperty("generation_spans_scalar", out var spans))
            {
                counts.Spans++;
                if (Golden.Difference("spans", spans.EnumerateArray().SelectMany(span => span.EnumerateArray()).Select(end => end.GetInt32()),
                        rendered.Generations.SelectMany(span => new[] { Python.Length(rendered.Text[..span.Start]), Python.Length(rendered.Text[..span.End]) })) is { } difference)
                    return difference;
            }
            return rendered.Text == expected ? null : $"{row.Text("template")}: expected\n{JsonSerializer.Serialize(expected)}, found\n{JsonSerializer.Serialize(rendered.Text)}";
        });
        Assert.Equal((431, 26, 43, 25), counts);
        Assert.Equal(40, templates.Count);
    }
}

/// <summary>A clock that stands.</summary>
internal sealed class StoppedClock(DateTimeOffset now) : TimeProvider
{
    public override TimeZoneInfo LocalTimeZone => TimeZoneInfo.Utc;

    public override DateTimeOffset GetUtcNow() => now;
}
