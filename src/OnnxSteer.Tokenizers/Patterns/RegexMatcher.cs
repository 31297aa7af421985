using System.Globalization;

namespace OnnxSteer.Tokenizers;

/// <summary>Runs a <see cref="RegexProgram"/> over a text, going back where a way fails, within a number of steps that grows with the text.</summary>
internal ref struct RegexMatcher
{
    private const long FreeSteps = 100_000_000;
    private const int StepsPerUnit = 64;
    private const int Failed = -1;

    private readonly RegexProgram program;
    private readonly RegexStep[] steps;
    private readonly ReadOnlySpan<char> text;
    private readonly int[] registers;

    // Ways not taken, three numbers each: step, place, and how far back a repeat may go; or a register to set back.
    private int[] ways = new int[96];
    private int count;
    private int searchStart;
    private int keptStart;
    private long left;

    public RegexMatcher(RegexProgram program, ReadOnlySpan<char> text)
    {
        this.program = program;
        this.text = text;
        steps = program.Steps;
        registers = new int[program.Registers];
        left = FreeSteps + ((long)StepsPerUnit * text.Length);
    }

    /// <summary>Whether the last answer was given up, because the text takes too long.</summary>
    public readonly bool IsExhausted => left < 0;

    /// <summary>The next match at or after a place.</summary>
    public bool TryNext(int from, out int start, out int end)
    {
        searchStart = from;
        for (var at = from; at <= text.Length && left >= 0; at += at < text.Length ? Scalars.LengthAt(text, at) : 1)
            for (var choices = program.ChoicesAt(text, at); choices != 0; choices &= choices - 1)
            {
                keptStart = at;
                count = 0;
                Array.Fill(registers, Failed);
                end = Run(program.StartOf(System.Numerics.BitOperations.TrailingZeroCount(choices)), at);
                if (end == Failed)
                    continue;
                start = keptStart;
                return true;
            }
        (start, end) = (0, 0);
        return false;
    }

    /// <summary>Where the part that starts at a step and a place ends its match; with a given end, only there.</summary>
    private int Run(int step, int at, int wantedEnd = Failed)
    {
        var bottom = count;
        while (true)
        {
            if (--left < 0)
                return Failed;
            ref readonly var now = ref steps[step];
            var next = Failed;
            switch (now.Op)
            {
                case RegexOp.One:
                    if (at < text.Length && now.Set!.Contains(Scalars.At(text, at)))
                        next = at + Scalars.LengthAt(text, at);
                    break;
                case RegexOp.Many:
                case RegexOp.ManyAtomic:
                    next = Repeat(now, step + 1, at);
                    break;
                case RegexOp.Split:
                    Push(now.B, at, Failed);
                    step = now.A;
                    continue;
                case RegexOp.Jump:
                    step = now.A;
                    continue;
                case RegexOp.Save:
                    Push(~now.A, registers[now.A], Failed);
                    registers[now.A] = at;
                    next = at;
                    break;
                case RegexOp.Advanced:
                    next = registers[now.A] == at ? Failed : at;
                    break;
                case RegexOp.Back:
                    var (from, to) = (registers[now.A], registers[now.A + 1]);
                    if (from >= 0 && to >= from && text[at..].StartsWith(text[from..to], StringComparison.Ordinal))
                        next = at + to - from;
                    break;
                case RegexOp.At:
                    next = IsAt((RegexPlace)now.A, at) ? at : Failed;
                    break;
                case RegexOp.Ahead:
                case RegexOp.Behind:
                    var found = now.Op == RegexOp.Ahead ? Run(step + 1, at) != Failed : IsBehind(step, at);
                    if (found == (now.B == 0))
                    {
                        step = now.A;
                        continue;
                    }
                    break;
                case RegexOp.Atomic:
                    next = Run(step + 1, at);
                    if (next != Failed)
                    {
                        (step, at) = (now.A, next);
                        continue;
                    }
                    break;
                case RegexOp.Cluster:
                    if (at < text.Length)
                        next = at + StringInfo.GetNextTextElementLength(text[at..]);
                    break;
                case RegexOp.Keep:
                    next = keptStart = at;
                    break;
                default:
                    if (wantedEnd != Failed && at != wantedEnd)
                        break;
                    count = bottom;
                    return at;
            }
            if (next != Failed)
            {
                step++;
                at = next;
            }
            else if (!Back(bottom, ref step, ref at))
                return Failed;
        }
    }

    private int Repeat(in RegexStep now, int step, int at)
    {
        var set = now.Set!;
        var (taken, end, least) = (0, at, at);
        while (taken < now.B && end < text.Length)
        {
            var unit = text[end];
            if (char.IsHighSurrogate(unit))
            {
                if (!set.Contains(Scalars.At(text, end)))
                    break;
                end += 2;
            }
            else if (set.ContainsUnit(unit))
                end++;
            else
                break;
            if (++taken == now.A)
                least = end;
        }
        left -= taken >> 3;
        if (taken < now.A)
            return Failed;
        if (now.Op == RegexOp.Many && end > least)
            Push(step, end, least);
        return end;
    }

    private void Push(int step, int at, int least)
    {
        if (count + 3 > ways.Length)
            Array.Resize(ref ways, 2 * ways.Length);
        ways[count] = step;
        ways[count + 1] = at;
        ways[count + 2] = least;
        count += 3;
    }

    /// <summary>Takes the last way not taken.</summary>
    private bool Back(int bottom, ref int step, ref int at)
    {
        while (count > bottom)
        {
            count -= 3;
            var (where, place, least) = (ways[count], ways[count + 1], ways[count + 2]);
            if (where < 0)
            {
                registers[~where] = place;
                continue;
            }
            if (least >= 0)
            {
                place = Scalars.StartBefore(text, place);
                if (place > least)
                {
                    ways[count + 1] = place;
                    count += 3;
                }
            }
            (step, at) = (where, place);
            return true;
        }
        return false;
    }

    private bool IsBehind(int step, int at)
    {
        var (shortest, longest) = (steps[step + 1].A, steps[step + 1].B);
        var start = at;
        for (var length = 0; length <= longest; length++)
        {
            if (length >= shortest && Run(step + 2, start, at) != Failed)
                return true;
            if (start == 0 || left < 0)
                return false;
            start = Scalars.StartBefore(text, start);
        }
        return false;
    }

    private readonly bool IsAt(RegexPlace place, int at) => place switch
    {
        RegexPlace.LineStart => at == 0 || (text[at - 1] == '\n' && at < text.Length),
        RegexPlace.LineEnd => at == text.Length || text[at] == '\n',
        RegexPlace.TextStart => at == 0,
        RegexPlace.TextEnd => at == text.Length,
        RegexPlace.LastLineEnd => at == text.Length || (at + 1 == text.Length && text[at] == '\n'),
        RegexPlace.SearchStart => at == searchStart,
        var boundary => (IsWordBefore(at) != IsWordAfter(at)) == (boundary == RegexPlace.WordBoundary),
    };

    private readonly bool IsWordBefore(int at) => at > 0 && RegexClasses.Word.Contains(Scalars.At(text, Scalars.StartBefore(text, at)));

    private readonly bool IsWordAfter(int at) => at < text.Length && RegexClasses.Word.Contains(Scalars.At(text, at));
}
