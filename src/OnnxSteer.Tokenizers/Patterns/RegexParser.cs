using System.Globalization;

namespace OnnxSteer.Tokenizers;

/// <summary>Reads a regular expression in the syntax of tokenizer files, that of Oniguruma, over Unicode scalars.</summary>
internal sealed partial class RegexParser
{
    private const int MaximumLength = 16384;
    private const int MaximumDepth = 64;
    private const int MaximumRepeats = 100_000;

    private readonly string source;
    private readonly Dictionary<string, int> names = new(StringComparer.Ordinal);
    private int position;
    private int captures;
    private Flags flags;

    private RegexParser(string source) => this.source = source;

    [Flags]
    private enum Flags
    {
        None = 0,
        IgnoreCase = 1,
        DotAll = 2,
        Extended = 4,
    }

    private bool AtEnd => position >= source.Length;

    /// <summary>The expression as a tree, and how many groups it captures.</summary>
    public static (RegexNode Root, int Captures) Parse(string source)
    {
        if (source.Length is 0 or > MaximumLength)
            throw new TokenizerException($"A regular expression of {source.Length} characters; 1 to {MaximumLength} are taken.");
        var parser = new RegexParser(source);
        var root = parser.Alternatives(0);
        if (!parser.AtEnd)
            throw parser.Error("an unmatched )");
        return (root, parser.captures);
    }

    private bool Take(string text)
    {
        if (string.CompareOrdinal(source, position, text, 0, text.Length) != 0)
            return false;
        position += text.Length;
        return true;
    }

    private RegexNode Alternatives(int depth)
    {
        if (depth > MaximumDepth)
            throw Error($"more than {MaximumDepth} nested groups");
        var choices = new List<RegexNode>();
        do
            choices.Add(Sequence(depth));
        while (Take("|"));
        return choices.Count == 1 ? choices[0] : new RegexNode.Alternate(choices);
    }

    private RegexNode Sequence(int depth)
    {
        var parts = new List<RegexNode>();
        var letters = new List<int>(); // Literals in a row under (?i): several may fold to one.
        void FlushLetters()
        {
            parts.AddRange(IgnoringCase(letters));
            letters.Clear();
        }

        while (!AtEnd && source[position] is not ('|' or ')'))
        {
            if ((flags & Flags.Extended) != 0 && SkipExtended())
                continue;
            if (Take("(?#"))
            {
                position = source.IndexOf(')', position) is var end and >= 0 ? end + 1 : throw Error("a comment without end");
                continue;
            }
            var (atom, literal) = Atom(depth);
            if ((flags & Flags.IgnoreCase) == 0)
                literal = null;
            else if (literal is not null)
                atom = IgnoringCase(literal.Value);
            var quantified = Quantified(atom);
            if (literal is not null && ReferenceEquals(quantified, atom))
            {
                letters.Add(literal.Value);
                continue;
            }
            FlushLetters();
            parts.Add(quantified);
        }
        FlushLetters();
        return parts.Count == 1 ? parts[0] : new RegexNode.Concat(parts);
    }

    private static IEnumerable<RegexNode> IgnoringCase(List<int> letters)
    {
        for (var i = 0; i < letters.Count;)
        {
            var (taken, node) = (1, (RegexNode)IgnoringCase(letters[i]));
            for (var length = Math.Min(3, letters.Count - i); length > 1; length--)
                if (RegexClasses.FoldingTo(letters.Skip(i).Take(length)) is { Length: > 0 } single)
                {
                    (taken, node) = (length, new RegexNode.Alternate(
                        [new RegexNode.Concat([.. letters.Skip(i).Take(length).Select(IgnoringCase)]), new RegexNode.One(ScalarSet.Of(single))]));
                    break;
                }
            yield return node;
            i += taken;
        }
    }

    private static RegexNode IgnoringCase(int letter)
    {
        var one = new RegexNode.One(RegexClasses.Folded(letter));
        return RegexClasses.Unfolded(letter) is not { } several ? one : new RegexNode.Alternate(
        [
            new RegexNode.One(one.Set.Union(ScalarSet.Of(RegexClasses.FoldingTo(several)))),
            new RegexNode.Concat([.. several.Select(part => new RegexNode.One(RegexClasses.Folded(part)))]),
        ]);
    }

    private bool SkipExtended()
    {
        if (char.IsWhiteSpace(source[position]))
            position++;
        else if (source[position] == '#')
            position = source.IndexOf('\n', position) is var end and >= 0 ? end + 1 : source.Length;
        else
            return false;
        return true;
    }

    private (RegexNode Node, int? Literal) Atom(int depth)
    {
        switch (source[position])
        {
            case '(':
                position++;
                return (Group(depth), null);
            case '[':
                position++;
                return (new RegexNode.One(BracketClass(depth)), null);
            case '.':
                position++;
                return (new RegexNode.One((flags & Flags.DotAll) != 0 ? ScalarSet.All : ScalarSet.Of('\n').Complement()), null);
            case '^':
                position++;
                return (new RegexNode.At(RegexPlace.LineStart), null);
            case '$':
                position++;
                return (new RegexNode.At(RegexPlace.LineEnd), null);
            case '*' or '+' or '?':
                throw Error($"'{source[position]}' with nothing to repeat");
            case '\\':
                return Escape();
            default:
                var literal = Scalar();
                return (Literal(literal), literal);
        }
    }

    private static RegexNode.One Literal(int scalar) => new(ScalarSet.Of(scalar));

    private RegexNode Group(int depth)
    {
        var outer = flags;
        var isAhead = Take("?=") || Take("?!") || Take("?<=") || Take("?<!");
        RegexNode node;
        if (isAhead)
        {
            var (isBehind, isNegative) = (source[position - 2] == '<', source[position - 1] == '!');
            node = new RegexNode.Look(Body(depth), isBehind, isNegative);
        }
        else if (Take("?>"))
            node = new RegexNode.Atomic(Body(depth));
        else if (Take("?<") || Take("?'"))
        {
            var end = source.IndexOfAny(['>', '\''], position);
            if (end <= position)
                throw Error("a group without name");
            var index = names[source[position..end]] = ++captures;
            position = end + 1;
            node = new RegexNode.Capture(index, Body(depth));
        }
        else if (Take("?"))
        {
            Options();
            node = Take(":") ? Body(depth) : Take(")") ? Alternatives(depth + 1) : throw Error("a group of unknown kind");
        }
        else
        {
            var index = ++captures;
            node = new RegexNode.Capture(index, Body(depth));
        }
        flags = outer;
        return node;
    }

    private RegexNode Body(int depth)
    {
        var body = Alternatives(depth + 1);
        return Take(")") ? body : throw Error("a group without end");
    }

    private void Options()
    {
        var isOn = true;
        for (; !AtEnd && source[position] is not (':' or ')'); position++)
        {
            var flag = source[position] switch
            {
                '-' => Flags.None,
                'i' => Flags.IgnoreCase,
                'm' => Flags.DotAll,
                'x' => Flags.Extended,
                var other => throw Error($"the group option '{other}'"),
            };
            isOn &= flag != Flags.None;
            flags = isOn ? flags | flag : flags & ~flag;
        }
    }

    private RegexNode Quantified(RegexNode atom)
    {
        while (!AtEnd)
        {
            if ((flags & Flags.Extended) != 0 && SkipExtended())
                continue;
            if (source[position] is '*' or '+' or '?')
            {
                var (minimum, maximum) = source[position++] switch
                {
                    '*' => (0, int.MaxValue),
                    '+' => (1, int.MaxValue),
                    _ => (0, 1),
                };
                var isLazy = Take("?");
                atom = new RegexNode.Repeat(atom, minimum, maximum, isLazy);
                if (!isLazy && Take("+"))
                    atom = new RegexNode.Atomic(atom);
            }
            else if (source[position] == '{' && Interval() is var (low, high))
            {
                // After {n} a ? makes it optional, after {n,m} lazy; a + repeats it either way.
                var isLazy = low != high && Take("?");
                atom = new RegexNode.Repeat(atom, low, high, isLazy);
            }
            else
                break;
        }
        return atom;
    }

    private (int Low, int High)? Interval()
    {
        var end = source.IndexOf('}', position);
        if (end < 0)
            return null;
        var bounds = source[(position + 1)..end].Split(',');
        int? Bound(string text) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            ? number <= MaximumRepeats ? number : throw Error($"more than {MaximumRepeats} repeats")
            : null;
        (int, int)? interval = bounds switch
        {
            [var exact] when Bound(exact) is { } n => (n, n),
            [var low, ""] when Bound(low) is { } n => (n, int.MaxValue),
            ["", var high] when Bound(high) is { } m => (0, m),
            [var low, var high] when Bound(low) is { } n && Bound(high) is { } m => n <= m ? (n, m) : throw Error("an interval of which the end is before the start"),
            _ => null,
        };
        if (interval is not null)
            position = end + 1;
        return interval;
    }

    /// <summary>The scalar that stands here unescaped.</summary>
    private int Scalar()
    {
        var length = char.IsSurrogatePair(source, position) ? 2 : 1;
        var scalar = length == 2 ? char.ConvertToUtf32(source, position) : source[position];
        position += length;
        return scalar;
    }

    private TokenizerException Error(string what) => new($"The regular expression '{source}' has {what} at {Math.Min(position, source.Length)}.");
}
