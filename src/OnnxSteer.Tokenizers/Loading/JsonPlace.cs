using System.Text.Json;

namespace OnnxSteer.Tokenizers;

/// <summary>A value of a tokenizer file together with where it stands, so that every complaint can say where.</summary>
internal readonly record struct JsonPlace(string Path, JsonElement Value)
{
    // Longer strings are in no tokenizer; texts are compared with each of them.
    public const int MaximumStringLength = 1 << 16;

    public bool IsNull => Value.ValueKind is JsonValueKind.Undefined or JsonValueKind.Null;

    /// <summary>The member of an object; null if the object has none.</summary>
    public JsonPlace this[string name]
    {
        get
        {
            Expect(JsonValueKind.Object);
            return new JsonPlace(Path.Length == 0 ? name : $"{Path}.{name}", Value.TryGetProperty(name, out var member) ? member : default);
        }
    }

    public TokenizerException Error(string what) => new(Path.Length == 0 ? what : $"{Path}: {what}");

    public IEnumerable<JsonPlace> Items()
    {
        Expect(JsonValueKind.Array);
        var path = Path;
        return Value.EnumerateArray().Select((item, index) => new JsonPlace($"{path}[{index}]", item));
    }

    public IEnumerable<(string Name, JsonPlace Place)> Members()
    {
        Expect(JsonValueKind.Object);
        var path = Path;
        return Value.EnumerateObject().Select(member => (member.Name, new JsonPlace($"{path}.{member.Name}", member.Value)));
    }

    public string Text(int maximumLength = MaximumStringLength)
    {
        Expect(JsonValueKind.String);
        var text = Value.GetString()!;
        return text.Length <= maximumLength ? text : throw Error($"a string of {text.Length} characters; at most {maximumLength} are taken");
    }

    public string Text(string ifMissing) => IsNull ? ifMissing : Text();

    /// <summary>A string of one character or more.</summary>
    public string SomeText() => Text() is { Length: > 0 } text ? text : throw Error("an empty string");

    public int Number(int maximum)
    {
        Expect(JsonValueKind.Number);
        return Value.TryGetInt32(out var number) && number >= 0 && number <= maximum
            ? number
            : throw Error($"{Value.GetRawText()} is no whole number from 0 to {maximum}");
    }

    public bool Flag(bool ifMissing) => Value.ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        JsonValueKind.Undefined or JsonValueKind.Null => ifMissing,
        _ => throw Error($"expected true or false, found {NameOf(Value.ValueKind)}"),
    };

    /// <summary>The one of a few names that stands here.</summary>
    public T Choice<T>(params ReadOnlySpan<(string Name, T Value)> choices)
    {
        var text = Text();
        foreach (var (name, value) in choices)
            if (name == text)
                return value;
        throw Error($"'{text}' is none of the known values");
    }

    public void Expect(JsonValueKind kind)
    {
        if (Value.ValueKind != kind)
            throw Error($"expected {NameOf(kind)}, found {NameOf(Value.ValueKind)}");
    }

    private static string NameOf(JsonValueKind kind) => kind switch
    {
        JsonValueKind.Undefined => "nothing",
        JsonValueKind.Null => "null",
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "a list",
        JsonValueKind.String => "a string",
        JsonValueKind.Number => "a number",
        _ => "true or false",
    };
}
