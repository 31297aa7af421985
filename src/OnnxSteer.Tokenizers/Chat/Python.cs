using System.Globalization;
using System.Numerics;

namespace OnnxSteer.Tokenizers;

/// <summary>What Python says of values: truth, equality, order, arithmetic, indexes.</summary>
internal static class Python
{
    // Beyond this a number is no count of anything, and arithmetic takes noticeable time.
    private const int MaximumBits = 1 << 14;

    public static string TypeOf(object? value) => value switch
    {
        null => "None",
        bool => "bool",
        BigInteger => "int",
        double => "float",
        string => "str",
        Undefined => "an undefined value",
        Mapping => "dict",
        Sequence { Kind: SequenceKind.List } => "list",
        Sequence { IsTuple: true } => "tuple",
        Sequence { Kind: var kind } => kind.ToString().ToLowerInvariant(),
        Namespace => "namespace",
        LoopState => "loop",
        _ => "function",
    };

    public static bool IsTrue(object? value) => value switch
    {
        null or Undefined => false,
        bool flag => flag,
        BigInteger number => !number.IsZero,
        double number => number != 0,
        string text => text.Length > 0,
        Mapping mapping => mapping.Entries.Count > 0,
        Sequence { HasLength: true } sequence => sequence.Items.Count > 0,
        _ => true,
    };

    public static bool AreEqual(object? left, object? right) => (left, right) switch
    {
        (null, null) => true,
        (string a, string b) => a == b,
        (Undefined, Undefined) => true,
        (bool or BigInteger or double, bool or BigInteger or double) => CompareNumbers(left, right) == 0,
        (Sequence { HasIndex: true } a, Sequence { HasIndex: true } b) => ReferenceEquals(a, b)
            || (a.IsTuple ? b.IsTuple : a.Kind == b.Kind) && a.Items.Count == b.Items.Count && a.Items.Zip(b.Items).All(pair => AreEqual(pair.First, pair.Second)),
        (Mapping a, Mapping b) => ReferenceEquals(a, b) || a.Entries.Count == b.Entries.Count && a.Entries.All(entry => b.TryGet(entry.Key, out var other) && AreEqual(entry.Value, other)),
        _ => ReferenceEquals(left, right),
    };

    public static int Hash(object? value) => value switch
    {
        null => 0,
        string text => string.GetHashCode(text, StringComparison.Ordinal),
        bool flag => (flag ? BigInteger.One : BigInteger.Zero).GetHashCode(),
        BigInteger number => number.GetHashCode(),
        double number => double.IsInteger(number) ? new BigInteger(number).GetHashCode() : number.GetHashCode(),
        Undefined => 1,
        Sequence { IsTuple: true } tuple => tuple.Items.Aggregate(17, (hash, item) => HashCode.Combine(hash, Hash(item))),
        Sequence or Mapping => throw new TemplateError($"a {TypeOf(value)} cannot be the key of a dict"),
        _ => System.Runtime.CompilerServices.RuntimeHelpers.GetHashCode(value),
    };

    /// <summary>Below, equal or above; null where one is not a number.</summary>
    /// <exception cref="TemplateError">The values have no order.</exception>
    public static int? Compare(object? left, object? right)
    {
        if ((left as Undefined ?? right as Undefined) is { } missing)
            throw missing.Error();
        switch (left, right)
        {
            case (bool or BigInteger or double, bool or BigInteger or double):
                return CompareNumbers(left, right);
            case (string a, string b):
                return CompareTexts(a, b);
            case (Sequence { HasIndex: true } a, Sequence { HasIndex: true } b) when a.IsTuple ? b.IsTuple : a.Kind == b.Kind && a.Kind == SequenceKind.List:
                foreach (var (first, second) in a.Items.Zip(b.Items))
                    if (!AreEqual(first, second))
                        return Compare(first, second);
                return a.Items.Count.CompareTo(b.Items.Count);
            default:
                throw new TemplateError($"{TypeOf(left)} and {TypeOf(right)} have no order");
        }
    }

    public static object Negate(object? value) => value switch
    {
        double number => -number,
        bool or BigInteger => -Whole(value),
        Undefined missing => throw missing.Error(),
        _ => throw new TemplateError($"bad operand for unary -: {TypeOf(value)}"),
    };

    public static object? Arithmetic(string sign, object? left, object? right)
    {
        if ((left as Undefined ?? right as Undefined) is { } missing)
            throw missing.Error();
        if (sign == "+" && left is string text)
            return right is string other ? text + other : throw new TemplateError($"can only concatenate str (not \"{TypeOf(right)}\") to str");
        if (sign == "+" && left is Sequence { HasIndex: true, Kind: not SequenceKind.Range } a && right is Sequence { HasIndex: true, Kind: not SequenceKind.Range } b && a.IsTuple == b.IsTuple)
            return new Sequence(a.IsTuple ? SequenceKind.Tuple : SequenceKind.List, [.. a.Items, .. b.Items]);
        if (sign == "*" && left is bool or BigInteger && right is string or Sequence)
            (left, right) = (right, left);
        if (sign == "*" && right is bool or BigInteger && left is string or Sequence { Kind: SequenceKind.List or SequenceKind.Tuple })
            return Repeat(left, Whole(right));
        if (!IsNumber(left) || !IsNumber(right))
            throw new TemplateError($"unsupported operands for {sign}: {TypeOf(left)} and {TypeOf(right)}");
        return left is double || right is double ? Real(sign, Double(left), Double(right)) : Integral(sign, Whole(left), Whole(right));
    }

    public static bool IsNumber(object? value) => value is bool or BigInteger or double;

    public static BigInteger Whole(object? value) => value is bool flag ? flag ? 1 : 0 : (BigInteger)value!;

    public static double Double(object? value) => value is double number ? number : (double)Whole(value);

    /// <summary>A whole number of the usual size.</summary>
    public static int Int(object? value, string what) => value switch
    {
        bool flag => flag ? 1 : 0,
        BigInteger number when number >= int.MinValue && number <= int.MaxValue => (int)number,
        Undefined missing => throw missing.Error(),
        _ => throw new TemplateError($"{what} takes a whole number of the usual size, not {(value is BigInteger ? "a huge one" : TypeOf(value))}"),
    };

    /// <summary>Start, count and step of a slice of so many items, as Python counts them.</summary>
    public static (int Start, int Count, int Step) Slice(object? start, object? stop, object? step, int length)
    {
        var by = step is null ? 1 : Int(step, "a slice");
        if (by == 0)
            throw new TemplateError("slice step cannot be zero");
        var (least, most) = by > 0 ? (0, length) : (-1, length - 1);
        var from = start is null ? (by > 0 ? least : most) : Place(start);
        var to = stop is null ? (by > 0 ? most : least) : Place(stop);
        var count = by > 0 ? ((long)to - from + by - 1) / by : ((long)from - to - by - 1L) / -(long)by;
        return (from, (int)Math.Max(0, count), by);

        int Place(object? value)
        {
            var place = (long)Int(value, "a slice");
            return (int)Math.Clamp(place < 0 ? place + length : place, least, most);
        }
    }

    /// <summary>What a loop goes through.</summary>
    public static IReadOnlyList<object?> Iterate(object? value) => value switch
    {
        Sequence sequence => sequence.Items,
        Mapping mapping => mapping.Keys().Items,
        string text => Characters(text),
        Undefined => [],
        _ => throw new TemplateError($"{TypeOf(value)} cannot be iterated over"),
    };

    /// <summary>A text's characters, which are Unicode scalars; a lone surrogate stays itself.</summary>
    public static List<object?> Characters(string text)
    {
        var all = new List<object?>(text.Length);
        for (var i = 0; i < text.Length; i++)
        {
            var length = i + 1 < text.Length && char.IsSurrogatePair(text[i], text[i + 1]) ? 2 : 1;
            all.Add(text.Substring(i, length));
            i += length - 1;
        }
        return all;
    }

    public static int Length(string text)
    {
        var count = text.Length;
        for (var i = 1; i < text.Length; i++)
            if (char.IsSurrogatePair(text[i - 1], text[i]))
                count--;
        return count;
    }

    public static bool Contains(object? container, object? item) => container switch
    {
        string text => item is string part ? text.Contains(part, StringComparison.Ordinal)
            : item is Undefined missing ? throw missing.Error() : throw new TemplateError($"'in' a string takes a string on its left, not {TypeOf(item)}"),
        Mapping mapping => mapping.TryGet(item, out _),
        Undefined => false,
        _ => Iterate(container).Any(other => AreEqual(other, item)),
    };

    private static int? CompareNumbers(object? left, object? right)
    {
        if (left is not double && right is not double)
            return Whole(left).CompareTo(Whole(right));
        var (a, b) = (Double(left), Double(right));
        return double.IsNaN(a) || double.IsNaN(b) ? null : a.CompareTo(b);
    }

    // By code point: surrogates stand above the characters from U+E000 on.
    private static int CompareTexts(string left, string right)
    {
        var i = left.AsSpan().CommonPrefixLength(right);
        if (i == left.Length || i == right.Length)
            return left.Length.CompareTo(right.Length);
        return Rank(left[i]).CompareTo(Rank(right[i]));

        static int Rank(char unit) => char.IsSurrogate(unit) ? unit + 0x10000 : unit;
    }

    private static object Repeat(object left, BigInteger times)
    {
        var length = left is string text ? text.Length : ((Sequence)left).Size;
        if (times * length > Structure.MaximumSize)
            throw new TemplateError($"a repetition to {times * length} items; at most {Structure.MaximumSize} are made");
        var count = (int)BigInteger.Max(0, times);
        return left is string unit ? string.Concat(Enumerable.Repeat(unit, length == 0 ? 0 : count))
            : new Sequence(((Sequence)left).Kind, [.. Enumerable.Repeat(((Sequence)left).Items, ((Sequence)left).Items.Count == 0 ? 0 : count).SelectMany(items => items)]);
    }

    private static double Real(string sign, double left, double right) => sign switch
    {
        "+" => left + right,
        "-" => left - right,
        "*" => left * right,
        "**" => Math.Pow(left, right),
        _ when right == 0 => throw new TemplateError("division by zero"),
        "/" => left / right,
        "//" => Math.Floor(left / right),
        _ => Modulo(left, right),
    };

    // The remainder has the divisor's sign.
    private static double Modulo(double left, double right)
    {
        var rest = left % right;
        return rest == 0 ? double.CopySign(0, right) : rest < 0 != right < 0 ? rest + right : rest;
    }

    private static object Integral(string sign, BigInteger left, BigInteger right)
    {
        switch (sign)
        {
            case "+":
                return Bounded(left + right);
            case "-":
                return Bounded(left - right);
            case "*":
                return Bounded(left * right);
            case "**":
                if (right < 0)
                    return left.IsZero ? throw new TemplateError("0 to a negative power") : Math.Pow((double)left, (double)right);
                if (BigInteger.Abs(left) <= 1)
                    return right.IsZero ? BigInteger.One : right.IsEven ? left * left : left;
                return left.GetBitLength() * right <= MaximumBits ? BigInteger.Pow(left, (int)right) : throw new TemplateError($"a number of more than {MaximumBits} bits");
        }
        if (right.IsZero)
            throw new TemplateError("division by zero");
        if (sign == "/")
            return (double)left / (double)right;
        var quotient = BigInteger.DivRem(left, right, out var rest);
        var isBelow = !rest.IsZero && rest.Sign < 0 != right.Sign < 0;
        return sign == "//" ? (isBelow ? quotient - 1 : quotient) : (isBelow ? rest + right : rest);
    }

    private static BigInteger Bounded(BigInteger number) =>
        number.GetBitLength() <= MaximumBits ? number : throw new TemplateError($"a number of more than {MaximumBits.ToString(CultureInfo.InvariantCulture)} bits");
}
