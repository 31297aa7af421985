using System.CommandLine;
using System.Globalization;
using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Patching;
using OnnxSteer.Ort;
using OnnxSteer.Running;

namespace OnnxSteer.Cli.Commands;

/// <summary><c>generate</c>: texts of a model, steered or not.</summary>
internal static class GenerateCommand
{
    public static Command Create(Terminal terminal)
    {
        var (model, column, batch, threads, provider, json) = (Options.Model(), Options.Column(), Options.Batch(16), Options.Threads(), Options.Provider(), Options.Json());
        var prompt = new Option<string?>("--prompt") { Description = "The text to continue." };
        var prompts = new Option<string?>("--prompts") { Description = "A .txt, .jsonl or .csv file of texts to continue." };
        var maxNew = Options.Positive("--max-new", "At most so many new tokens.", 64);
        var greedy = new Option<bool>("--greedy") { Description = "Take the likeliest token each time (the default, unless a sampling option is given)." };
        var temperature = Options.Number("--temperature", "Draw tokens; above 1 more evenly, below 1 less (default 1).");
        var topK = new Option<int?>("--top-k") { Description = "Draw among so many of the likeliest tokens only." };
        var topP = Options.Number("--top-p", "Draw among the likeliest tokens that together have this probability.");
        var seed = new Option<int?>("--seed") { Description = "Seed of the draws (default 0)." };
        var strength = new Option<string[]>("--strength") { Description = "The dial of a live patch: a number, or LABEL=number for the dial of that label; may be given several times." };
        var choice = new Option<string[]>("--choose") { Description = "Which map of a bank: its number, -1 for none, or LABEL=number; may be given several times." };
        var adapters = new Option<string[]>("--adapter") { Description = "An adapter file for a packed model; may be given several times, the last one counts where two give the same." };
        var command = new Command("generate", "Continues prompts with a model. A single text is printed as it comes.")
            { model, prompt, prompts, maxNew, greedy, temperature, topK, topP, seed, strength, choice, adapters, column, batch, threads, provider, json };
        var chat = new ChatFlags();
        chat.AddTo(command);
        command.SetAction((call, cancel) =>
        {
            if (call.GetValue(prompt) is null == call.GetValue(prompts) is null)
                throw new UsageException("Give either --prompt TEXT or --prompts FILE.");
            var draws = call.GetValue(temperature) is not null || call.GetValue(topK) is not null || call.GetValue(topP) is not null || call.GetValue(seed) is not null;
            if (draws && call.GetValue(greedy))
                throw new UsageException("--greedy does not go together with --temperature, --top-k, --top-p or --seed.");
            var dials = (call.GetValue(strength) ?? []).Select(text => Options.ParseDial("--strength", text, Steering.DialOf))
                .Concat((call.GetValue(choice) ?? []).Select(text => Options.ParseDial("--choose", text, Steering.ChoiceOf))).GroupBy(dial => dial.Key).ToDictionary(group => group.Key, group => group.Last().Value);
            var opened = call.OpenModel(model);
            CheckChoices(opened, dials);
            var set = call.GetValue(prompts) is { } path ? PromptFile.Read(path, call.GetValue(column)) : PromptSet.Of(call.GetValue(prompt)!);
            var tokenizer = TokenizedPrompts.TokenizerOf(opened);
            var tokens = TokenizedPrompts.Of(set, () => tokenizer, chat: chat.Read(call, opened));
            using var decoder = Decoder.Open(opened, call.Session(threads, provider));
            var loaded = (call.GetValue(adapters) ?? []).Select(path => Adapter.Load(AdapterFile.ToBytes(AdapterFile.Read(path)))).ToList();
            var options = new GenerationOptions
            {
                MaxNewTokens = call.GetValue(maxNew),
                Sampling = draws ? new Sampling(call.GetValue(temperature) ?? 1, call.GetValue(topK) ?? 0, call.GetValue(topP) ?? 1, call.GetValue(seed) ?? 0) : null,
                Dials = dials,
                Adapters = loaded,
            };
            var asJson = call.GetValue(json);
            var streams = !asJson && set.Count == 1;
            var texts = decoder.Texts(tokenizer, tokens, options, call.GetValue(batch), streams ? Stream(terminal) : null, asJson || !streams ? terminal.Progress("generated", set.Count) : null, cancel);
            if (asJson)
                terminal.Json(texts.Select(text => new { text.Text, text.Completion.Ids, Finish = text.Completion.Finish.ToString().ToLowerInvariant() }));
            else if (streams)
                terminal.Out.WriteLine();
            else
                foreach (var (i, text) in texts.Index())
                    terminal.Out.WriteLine($"[{i + 1}] {set[i].Text ?? set[i].Messages}|{text.Text}");
            return Task.FromResult(ExitCodes.Done);
        });
        return command;
    }

    private static Action<int, string> Stream(Terminal terminal) => (_, text) =>
    {
        terminal.Out.Write(text);
        terminal.Out.Flush();
    };

    private static void CheckChoices(Model model, Dictionary<string, float[]> dials)
    {
        foreach (var properties in PatchRecord.All(model).Select(patch => patch.Properties))
            if (properties.TryGetValue("choice", out var input) && properties.TryGetValue("maps", out var maps) && dials.TryGetValue(input, out var choice)
                && (choice[0] != MathF.Truncate(choice[0]) || choice[0] < -1 || choice[0] >= maps.Split(' ').Length))
                throw new UsageException($"--choose {choice[0].ToString(CultureInfo.InvariantCulture)}: the bank has maps 0 to {maps.Split(' ').Length - 1} ({maps}); -1 is none.");
    }
}
