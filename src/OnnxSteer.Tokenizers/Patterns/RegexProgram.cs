namespace OnnxSteer.Tokenizers;

/// <summary>What one step of a <see cref="RegexProgram"/> does.</summary>
internal enum RegexOp
{
    /// <summary>One scalar of a set.</summary>
    One,

    /// <summary>As many scalars of a set as there are, from A to B, giving back from the end.</summary>
    Many,

    /// <summary>As many as there are, giving none back.</summary>
    ManyAtomic,

    /// <summary>Goes on at A, and if that fails at B.</summary>
    Split,

    /// <summary>Goes on at A.</summary>
    Jump,

    /// <summary>Remembers the place in register A.</summary>
    Save,

    /// <summary>Fails if nothing was matched since register A was set.</summary>
    Advanced,

    /// <summary>The text between registers A and A + 1 again.</summary>
    Back,

    /// <summary>Asks for the place A.</summary>
    At,

    /// <summary>Whether the part up to A matches here; B is 1 where it must not.</summary>
    Ahead,

    /// <summary>Whether the part up to A ends here; B as above. The lengths it can have follow in the next step.</summary>
    Behind,

    /// <summary>Matches the part up to A once.</summary>
    Atomic,

    /// <summary>One grapheme cluster.</summary>
    Cluster,

    /// <summary>The match starts here.</summary>
    Keep,

    /// <summary>The part matches.</summary>
    Accept,
}

/// <summary>A step with its arguments.</summary>
internal readonly record struct RegexStep(RegexOp Op, int A = 0, int B = 0, ScalarSet? Set = null);

/// <summary>A regular expression made into steps: one start for each choice at its top, tried in order.</summary>
internal sealed class RegexProgram
{
    private const int MaximumSteps = 1 << 16;

    private readonly List<RegexStep> steps = [];
    private readonly List<(int Start, ScalarSet First, bool IsNullable)> choices = [];

    // By the first unit where it is ASCII: a bit for each choice that can begin with it.
    private readonly ulong[] byAscii = new ulong[0x80];
    private int registers;

    public RegexProgram(string source)
    {
        var (root, captures) = RegexParser.Parse(source);
        registers = 2 * (captures + 1);
        IReadOnlyList<RegexNode> tops = root is RegexNode.Alternate { Choices.Count: <= 64 } alternate ? alternate.Choices : [root];
        for (var i = 0; i < tops.Count; i++)
        {
            var (first, isNullable) = tops[i].First();
            choices.Add((steps.Count, first, isNullable));
            Emit(tops[i]);
            Emit(new RegexStep(RegexOp.Accept));
            for (var unit = 0; unit < byAscii.Length; unit++)
                if (isNullable || first.Contains(unit))
                    byAscii[unit] |= 1UL << i;
        }
        Steps = [.. steps];
        Registers = registers;
    }

    public RegexStep[] Steps { get; }

    public int Registers { get; }

    public int StartOf(int choice) => choices[choice].Start;

    /// <summary>The choices that can match at a place, a bit for each.</summary>
    public ulong ChoicesAt(ReadOnlySpan<char> text, int at)
    {
        if (at < text.Length && text[at] < byAscii.Length)
            return byAscii[text[at]];
        var scalar = at < text.Length ? Scalars.At(text, at) : -1;
        var mask = 0UL;
        for (var i = 0; i < choices.Count; i++)
            if (choices[i].IsNullable || (scalar >= 0 && choices[i].First.Contains(scalar)))
                mask |= 1UL << i;
        return mask;
    }

    private int Emit(RegexStep step)
    {
        if (steps.Count == MaximumSteps)
            throw new TokenizerException("The regular expression repeats too much.");
        steps.Add(step);
        return steps.Count - 1;
    }

    private void Emit(RegexNode node)
    {
        switch (node)
        {
            case RegexNode.One one:
                Emit(new RegexStep(RegexOp.One, Set: one.Set));
                break;
            case RegexNode.Concat concat:
                foreach (var part in concat.Parts)
                    Emit(part);
                break;
            case RegexNode.Alternate alternate:
                Emit(alternate);
                break;
            case RegexNode.Repeat { Body: RegexNode.One one, IsLazy: false } many:
                Emit(new RegexStep(RegexOp.Many, many.Minimum, many.Maximum, one.Set));
                break;
            case RegexNode.Atomic { Body: RegexNode.Repeat { Body: RegexNode.One one, IsLazy: false } many }:
                Emit(new RegexStep(RegexOp.ManyAtomic, many.Minimum, many.Maximum, one.Set));
                break;
            case RegexNode.Repeat repeat:
                Emit(repeat);
                break;
            case RegexNode.Capture capture:
                Emit(new RegexStep(RegexOp.Save, 2 * capture.Index));
                Emit(capture.Body);
                Emit(new RegexStep(RegexOp.Save, (2 * capture.Index) + 1));
                break;
            case RegexNode.BackReference back:
                Emit(new RegexStep(RegexOp.Back, 2 * back.Index));
                break;
            case RegexNode.At at:
                Emit(new RegexStep(RegexOp.At, (int)at.Place));
                break;
            case RegexNode.Look look:
                var (shortest, longest) = Lengths(look.Body);
                EmitPart(look.IsBehind ? RegexOp.Behind : RegexOp.Ahead, look.IsNegative ? 1 : 0, look.Body, look.IsBehind ? new RegexStep(RegexOp.Jump, shortest, longest) : null);
                break;
            case RegexNode.Atomic atomic:
                EmitPart(RegexOp.Atomic, 0, atomic.Body, null);
                break;
            case RegexNode.Cluster:
                Emit(new RegexStep(RegexOp.Cluster));
                break;
            default:
                Emit(new RegexStep(RegexOp.Keep));
                break;
        }
    }

    private void Emit(RegexNode.Alternate alternate)
    {
        var jumps = new List<int>();
        for (var i = 0; i < alternate.Choices.Count; i++)
        {
            var split = i + 1 < alternate.Choices.Count ? Emit(default(RegexStep)) : -1;
            Emit(alternate.Choices[i]);
            if (split < 0)
                break;
            jumps.Add(Emit(default(RegexStep)));
            steps[split] = new RegexStep(RegexOp.Split, split + 1, steps.Count);
        }
        foreach (var jump in jumps)
            steps[jump] = new RegexStep(RegexOp.Jump, steps.Count);
    }

    private void Emit(RegexNode.Repeat repeat)
    {
        RegexStep Fork(int body, int exit) => repeat.IsLazy ? new RegexStep(RegexOp.Split, exit, body) : new RegexStep(RegexOp.Split, body, exit);
        for (int i = 0, before = -1; i < repeat.Minimum && before != steps.Count; i++)
        {
            before = steps.Count; // What takes no step is the same however often.
            Emit(repeat.Body);
        }
        if (repeat.Maximum == int.MaxValue)
        {
            var register = registers++;
            var loop = Emit(default(RegexStep));
            Emit(new RegexStep(RegexOp.Save, register));
            Emit(repeat.Body);
            Emit(new RegexStep(RegexOp.Advanced, register));
            Emit(new RegexStep(RegexOp.Jump, loop));
            steps[loop] = Fork(loop + 1, steps.Count);
            return;
        }
        var forks = new List<int>();
        for (var i = repeat.Minimum; i < repeat.Maximum; i++)
        {
            forks.Add(Emit(default(RegexStep)));
            Emit(repeat.Body);
        }
        foreach (var fork in forks)
            steps[fork] = Fork(fork + 1, steps.Count);
    }

    private void EmitPart(RegexOp op, int argument, RegexNode body, RegexStep? lengths)
    {
        var start = Emit(default(RegexStep));
        if (lengths is { } given)
            Emit(given);
        Emit(body);
        Emit(new RegexStep(RegexOp.Accept));
        steps[start] = new RegexStep(op, steps.Count, argument);
    }

    /// <summary>The fewest and most scalars that a part can match.</summary>
    private static (int Shortest, int Longest) Lengths(RegexNode node)
    {
        static int Times(int length, int times) => length == 0 || times == 0 ? 0 : (int)Math.Min((long)length * times, int.MaxValue);
        switch (node)
        {
            case RegexNode.One:
                return (1, 1);
            case RegexNode.Concat concat:
                return concat.Parts.Select(Lengths).Aggregate(
                    (Shortest: 0, Longest: 0), (sum, part) => (sum.Shortest + part.Shortest, (int)Math.Min((long)sum.Longest + part.Longest, int.MaxValue)));
            case RegexNode.Alternate alternate:
                var lengths = alternate.Choices.Select(Lengths).ToList();
                return (lengths.Min(length => length.Shortest), lengths.Max(length => length.Longest));
            case RegexNode.Repeat repeat:
                var (shortest, longest) = Lengths(repeat.Body);
                return (Times(shortest, repeat.Minimum), Times(longest, repeat.Maximum));
            case RegexNode.Capture capture:
                return Lengths(capture.Body);
            case RegexNode.Atomic atomic:
                return Lengths(atomic.Body);
            case RegexNode.Cluster or RegexNode.BackReference:
                return (0, int.MaxValue);
            default:
                return (0, 0);
        }
    }
}
