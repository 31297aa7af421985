using System.Globalization;

namespace OnnxSteer.Tokenizers;

internal sealed partial class RegexParser
{
    private (RegexNode Node, int? Literal) Escape()
    {
        if (Class() is { } set)
            return (new RegexNode.One(set), null);
        if (position + 1 >= source.Length)
            throw Error("a '\\' at the end");
        var letter = source[position + 1];
        RegexNode? node = letter switch
        {
            'b' => new RegexNode.At(RegexPlace.WordBoundary),
            'B' => new RegexNode.At(RegexPlace.NotWordBoundary),
            'A' => new RegexNode.At(RegexPlace.TextStart),
            'z' => new RegexNode.At(RegexPlace.TextEnd),
            'Z' => new RegexNode.At(RegexPlace.LastLineEnd),
            'G' => new RegexNode.At(RegexPlace.SearchStart),
            'K' => new RegexNode.Keep(),
            'X' => new RegexNode.Cluster(),
            'O' => new RegexNode.One(ScalarSet.All),
            'N' => new RegexNode.One(ScalarSet.Of('\n').Complement()),
            'R' => new RegexNode.Atomic(new RegexNode.Alternate(
                [new RegexNode.Concat([Literal('\r'), Literal('\n')]), new RegexNode.One(ScalarSet.Of([(0xA, 0xD), (0x85, 0x85), (0x2028, 0x2029)]))])),
            'g' or 'y' or 'Y' => throw Error($"'\\{letter}', which is not supported,"),
            _ => null,
        };
        if (node is not null)
        {
            position += 2;
            return (node, null);
        }
        if (letter == 'k' && position + 2 < source.Length && source[position + 2] is '<' or '\'')
        {
            var end = source.IndexOfAny(['>', '\''], position + 3);
            var name = end < 0 ? "" : source[(position + 3)..end];
            position = end + 1;
            return (new RegexNode.BackReference(names.TryGetValue(name, out var named) ? named
                : int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number <= captures ? number
                : throw Error($"a reference to the group '{name}', which there is not,")), null);
        }
        if (letter is >= '1' and <= '9' && letter - '0' <= captures)
        {
            position += 2;
            return (new RegexNode.BackReference(letter - '0'), null);
        }
        var literal = EscapedScalar();
        return (Literal(literal), literal);
    }

    /// <summary>A named class such as \s or \p{Lu}, if one stands here.</summary>
    private ScalarSet? Class()
    {
        if (position + 1 >= source.Length || source[position] != '\\')
            return null;
        var letter = source[position + 1];
        ScalarSet? set = char.ToLowerInvariant(letter) switch
        {
            's' => RegexClasses.Space,
            'd' => RegexClasses.Digit,
            'w' => RegexClasses.Word,
            'h' => RegexClasses.HexDigit,
            _ => null,
        };
        if (set is not null)
        {
            position += 2;
            return char.IsUpper(letter) ? set.Complement() : set;
        }

        // Without braces \p is the letter.
        if (letter is not ('p' or 'P') || position + 2 >= source.Length || source[position + 2] != '{')
            return null;
        var end = source.IndexOf('}', position);
        if (end < 0)
            throw Error("a property without end");
        var name = source[(position + 3)..end];
        var isNegative = name.StartsWith('^');
        set = RegexClasses.Find(isNegative ? name[1..] : name) ?? throw Error($"the property '{name}', which is not known,");
        position = end + 1;
        return isNegative != (letter == 'P') ? set.Complement() : set;
    }

    private ScalarSet BracketClass(int depth)
    {
        if (depth > MaximumDepth)
            throw Error($"more than {MaximumDepth} nested classes");
        var isNegative = Take("^");
        ScalarSet? intersected = null;
        var ranges = new List<(int, int)>();
        var sets = new List<ScalarSet>();
        ScalarSet Operand()
        {
            var operand = sets.Aggregate(ScalarSet.Of(ranges), (all, set) => all.Union(set));
            ranges.Clear();
            sets.Clear();
            return (flags & Flags.IgnoreCase) != 0 ? RegexClasses.Folded(operand) : operand;
        }

        for (var isFirst = true; isFirst || !Take("]"); isFirst = false)
        {
            if (AtEnd)
                throw Error("a class without end");
            if (Take("&&"))
                intersected = intersected is null ? Operand() : intersected.Intersect(Operand());
            else if (Posix() is { } posix)
                sets.Add(posix);
            else if (Take("["))
                sets.Add(BracketClass(depth + 1));
            else if (Class() is { } named)
                sets.Add(named);
            else
            {
                var first = ClassScalar();
                var last = first;

                // A - before the end, a class or && is itself.
                if (position + 1 < source.Length && source[position] == '-' && source[position + 1] is not (']' or '['))
                {
                    var before = position++;
                    if (Class() is not null)
                        position = before;
                    else
                        last = ClassScalar();
                }
                ranges.Add(first <= last ? (first, last) : throw Error("a range of which the end is before the start"));
            }
        }
        var all = intersected is null ? Operand() : intersected.Intersect(Operand());
        return isNegative ? all.Complement() : all;
    }

    private ScalarSet? Posix()
    {
        var start = position;
        if (!Take("[:"))
            return null;
        var isNegative = Take("^");
        var end = source.IndexOf(":]", position, StringComparison.Ordinal);
        var set = end > position && source.AsSpan(position, end - position).ContainsAnyExceptInRange('a', 'z') == false ? RegexClasses.Find(source[position..end]) : null;
        if (set is null)
        {
            position = start;
            return null;
        }
        position = end + 2;
        return isNegative ? set.Complement() : set;
    }

    private int ClassScalar()
    {
        if (AtEnd)
            throw Error("a class without end");
        if (source[position] != '\\')
            return Scalar();
        if (Take("\\b"))
            return '\b';
        return EscapedScalar();
    }

    private int EscapedScalar()
    {
        position++;
        if (AtEnd)
            throw Error("a '\\' at the end");
        var start = position;
        var scalar = Scalar();
        switch (scalar)
        {
            case 'r': return '\r';
            case 'n': return '\n';
            case 't': return '\t';
            case 'f': return '\f';
            case 'v': return '\v';
            case 'a': return '\a';
            case 'e': return '\e';
            case 'u':
                return Number(position, 4, NumberStyles.AllowHexSpecifier) ?? throw Error("a '\\u' without four digits");
            case 'x' when !AtEnd && source[position] == '{':
                var end = source.IndexOf('}', position);
                position++;
                var braced = end < 0 ? null : Number(position, end - position, NumberStyles.AllowHexSpecifier);
                position = end + 1;
                return braced is <= 0x10FFFF and not (>= 0xD800 and <= 0xDFFF) ? braced.Value : throw Error("a '\\x{…}' of no character");
            case 'x':
                return Number(position, 2, NumberStyles.AllowHexSpecifier) ?? Number(position, 1, NumberStyles.AllowHexSpecifier) ?? 0;
            case >= '0' and <= '7':
                var octal = 0;
                for (position = start; !AtEnd && position < start + 3 && source[position] is >= '0' and <= '7'; position++)
                    octal = (octal * 8) + (source[position] - '0');
                return octal;
            default:
                return scalar;
        }
    }

    private int? Number(int from, int digits, NumberStyles style)
    {
        if (digits is < 1 or > 6 || from + digits > source.Length || !int.TryParse(source.AsSpan(from, digits), style, CultureInfo.InvariantCulture, out var number))
            return null;
        position = from + digits;
        return number;
    }
}
