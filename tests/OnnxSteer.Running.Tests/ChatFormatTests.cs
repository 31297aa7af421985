using System.Text.Json;
using OnnxSteer.Fixtures;
using OnnxSteer.Tokenizers;

namespace OnnxSteer.Running.Tests;

/// <summary>Prompts as conversations.</summary>
public sealed class ChatFormatTests
{
    private const string Start = "<|im_start|>", End = "<|im_end|>\n";
    private const string System = $"{Start}system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face{End}";

    private static string Smol => Folders.InShared("models", "smollm2-135m", "genai-int4");

    [SharedFact]
    public void A_prompt_is_what_the_user_says()
    {
        var (tokens, tokenizer) = Of(new ChatFormat(ChatTemplate.Load(Smol)), new Prompt("Hello"));
        Assert.Equal(tokenizer.Encode($"{System}{Start}user\nHello{End}{Start}assistant\n", addSpecialTokens: false).Ids.AsEnumerable(), tokens.Rows[0].AsEnumerable());
        Assert.Null(tokens.Chosen);
        Assert.Matches("^chat:[0-9a-f]{8}$", tokens.ChosenBy);
    }

    [SharedFact]
    public void Only_the_tokens_of_an_answer_are_pooled()
    {
        var conversation = JsonSerializer.Serialize(ChatTemplate.Messages(("user", "Hello"), ("assistant", "Good day, sir.")));
        foreach (var prompt in new[] { new Prompt("Good day, sir.") { Opening = new Prompt("Hello") }, new Prompt(null) { Messages = conversation } })
        {
            var (tokens, tokenizer) = Of(new ChatFormat(ChatTemplate.Load(Smol)), prompt);
            var (start, end) = tokens.Chosen!.Value[0];
            Assert.Equal("Good day, sir.", tokenizer.Decode(tokens.Rows[0].AsSpan()[start..end], skipSpecialTokens: false));
            Assert.Equal(tokens.Rows[0].Length, end);
            Assert.EndsWith(" completion", tokens.ChosenBy, StringComparison.Ordinal);
        }
    }

    [SharedFact]
    public void A_system_message_stands_where_there_is_none()
    {
        var format = new ChatFormat(ChatTemplate.Load(Smol), System: "Be brief.");
        Assert.StartsWith($"{Start}system\nBe brief.{End}{Start}user\nHello", format.Render(new Prompt("Hello")).Text, StringComparison.Ordinal);
        var own = new Prompt(null) { Messages = """[{"role": "system", "content": "Own."}, {"role": "user", "content": "x"}]""" };
        Assert.StartsWith($"{Start}system\nOwn.{End}", format.Render(own).Text, StringComparison.Ordinal);
        Assert.NotEqual(format.Name, new ChatFormat(ChatTemplate.Load(Smol)).Name);
    }

    [Fact]
    public void An_answer_begins_where_it_makes_a_difference()
    {
        // A template that begins answers with a thought that it leaves out of given ones.
        var template = ChatTemplate.Parse("{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<assistant><think>{% if fast %}</think>{% endif %}{% endif %}");
        var (text, answer) = new ChatFormat(template).Render(new Prompt("four") { Opening = new Prompt("2+2?") });
        Assert.Equal("<user>2+2?<assistant>", text[..answer!.Value]);
        Assert.Equal("four", text[answer.Value..]);
        var fast = new ChatFormat(template, Variables: JsonDocument.Parse("""{"fast": true}""").RootElement);
        Assert.Equal("<user>x<assistant><think></think>", fast.Render(new Prompt("x")).Text);
    }

    [SharedFact]
    public void Says_which_prompt_makes_no_conversation()
    {
        var format = new ChatFormat(ChatTemplate.Parse("{{ raise_exception('Only users!') if messages[0].role != 'user' }}"));
        Assert.Contains("The prompt in line 7 makes no conversation", Refused(format, new Prompt(null, Line: 7) { Messages = """[{"role": "tool"}]""" }), StringComparison.Ordinal);
        Assert.Contains("Only users!", Refused(format, new Prompt(null, Line: 7) { Messages = """[{"role": "tool"}]""" }), StringComparison.Ordinal);
        Assert.Contains("token ids", Refused(format, new Prompt(null, [1, 2])), StringComparison.Ordinal);
        Assert.Contains("--chat", Refused(null, new Prompt(null) { Messages = "[{}]" }), StringComparison.Ordinal);
    }

    private static string Refused(ChatFormat? format, Prompt prompt) => Assert.Throws<OnnxException>(() => Of(format, prompt)).Message;

    private static (TokenizedPrompts Tokens, Tokenizer Tokenizer) Of(ChatFormat? format, Prompt prompt)
    {
        var tokenizer = Tokenizer.Load(Smol);
        return (TokenizedPrompts.Of(new PromptSet([prompt]), () => tokenizer, chat: format), tokenizer);
    }
}
