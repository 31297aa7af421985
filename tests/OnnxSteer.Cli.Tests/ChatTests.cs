using OnnxSteer.Fixtures;

namespace OnnxSteer.Cli.Tests;

/// <summary><c>--chat</c> of fit, capture and generate.</summary>
public sealed class ChatTests
{
    private const string Sites = @"model\.layers\.[12]\.self_attn\.o_proj";
    private const string Template = "{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}[assistant] {% if short %}Yes, {% endif %}{% endif %}";

    [Fact]
    public void Conversations_are_what_their_text_is()
    {
        using var folder = new TemporaryFolder();
        var model = Model(folder);
        File.WriteAllText(folder["tools.json"], "[]");
        // The tokenizer of this model puts <s> first; a rendered chat has what its template gives it, so the same text begins with it.
        string Generated(params string[] more) => Cli.Done(["generate", model, "--max-new", "8", "--json", .. more]).Out;
        Assert.Equal(Generated("--prompt", "[user] Hello there\n[assistant] "), Generated("--prompt", "Hello there", "--chat"));
        Assert.Equal(Generated("--prompt", "[system] Be good.\n[user] Hello\n[assistant] Yes, "),
            Generated("--prompt", "Hello", "--chat", "--system", "Be good.", "--chat-kwargs", "{\"short\": true}", "--tools", folder["tools.json"]));
        File.WriteAllLines(folder["rows.jsonl"], ["{\"messages\": [{\"role\": \"user\", \"content\": \"Who?\"}, {\"role\": \"assistant\", \"content\": \"The big dog\"}]}"]);
        Assert.Equal(Generated("--prompt", "[user] Who?\n[assistant] The big dog"), Generated("--prompts", folder["rows.jsonl"], "--chat"));
    }

    [Fact]
    public void A_fit_says_that_it_used_the_template()
    {
        using var folder = new TemporaryFolder();
        var model = Model(folder);
        string[] rows(string who) => [.. Enumerable.Range(0, 8).Select(i => $"{{\"prompt\": \"Who came {i}?\", \"completion\": \"The {who} saw {i + 1} balls.\"}}")];
        File.WriteAllLines(folder["source.jsonl"], rows("dog"));
        File.WriteAllLines(folder["target.jsonl"], rows("girl"));
        foreach (var causal in new[] { false, true })
        {
            string[] fit = ["fit", model, "--source", folder["source.jsonl"], "--target", folder["target.jsonl"], "--sites", Sites, "--out", folder["map.safetensors"]];
            var json = Cli.Done([.. fit, "--chat", "--json", .. causal ? new[] { "--causal" } : []]).Json;
            Assert.Matches("^chat:[0-9a-f]{8} completion$", json.GetProperty("source").GetProperty("tokens").GetString());
            using var file = SafetensorsFile.Open(folder["map.safetensors"]);
            Assert.Matches("^chat:[0-9a-f]{8} completion$", file.Metadata["tokens"]);
        }
    }

    [Fact]
    public void Says_what_does_not_go_together()
    {
        using var folder = new TemporaryFolder();
        var model = Model(folder);
        void Refused(int code, string reason, params string[] more)
        {
            var call = Cli.Run(["generate", model, "--prompt", "x", "--max-new", "1", .. more]);
            Assert.Equal((code, true), (call.ExitCode, call.Error.Contains(reason, StringComparison.Ordinal)));
        }
        Refused(2, "belong to --chat", "--system", "x");
        Refused(2, "no valid JSON", "--chat", "--chat-kwargs", "{");
        Refused(2, "an object", "--chat", "--chat-kwargs", "[]");
        File.WriteAllText(folder["tools.json"], "{}");
        Refused(2, "a list of functions", "--chat", "--tools", folder["tools.json"]);
        Refused(3, "absent.json", "--chat", "--tools", folder["absent.json"]);
        File.WriteAllText(folder["model", "chat_template.jinja"], "\n{{ messages | urlize }}");
        Refused(3, "chat_template.jinja, line 2: the filter 'urlize' is not supported", "--chat");
        File.Delete(folder["model", "chat_template.jinja"]);
        Refused(3, "has a chat template", "--chat");
    }

    // A small model with a chat template.
    private static string Model(TemporaryFolder folder)
    {
        Directory.CreateDirectory(folder["model"]);
        foreach (var file in Directory.EnumerateFiles(Cli.Optimum))
            File.Copy(file, folder["model", Path.GetFileName(file)]);
        File.WriteAllText(folder["model", "chat_template.jinja"], "<s>" + Template);
        return folder["model"];
    }
}
