using System.Text.Json;
using OnnxSteer.Fixtures;

namespace OnnxSteer.Tokenizers.Tests;

/// <summary>Expressions mean what they mean in Python: numbers, slices, string methods, both ways of formatting. Python/cases.py wrote them.</summary>
public sealed class PythonAgreementTests
{
    [Fact]
    public void PrintsWhatPythonPrints()
    {
        var file = Path.Combine(Folders.Root, "tests", "OnnxSteer.Tokenizers.Tests", "Python", "cases.jsonl");
        Golden.AllHold(File.ReadLines(file).Select(line => JsonDocument.Parse(line).RootElement), row =>
        {
            var printed = ChatTemplate.Parse("{{ " + row[0].GetString() + " }}").Render(ChatTemplate.Messages()).Text;
            return printed == row[1].GetString() ? null : $"expected {row[1].GetString()}, found {printed}";
        });
    }
}
