using System.Collections.Immutable;

namespace OnnxSteer.Tokenizers;

/// <summary>A part of a parsed template, with the line that it starts in.</summary>
internal abstract record TemplateNode(int Line);

internal abstract record Expression(int Line) : TemplateNode(Line);

internal sealed record Constant(object? Value, int Line) : Expression(Line);

internal sealed record Variable(string Name, int Line) : Expression(Line);

internal sealed record SequenceLiteral(SequenceKind Kind, ImmutableArray<Expression> Items, int Line) : Expression(Line);

internal sealed record MappingLiteral(ImmutableArray<(Expression Key, Expression Value)> Entries, int Line) : Expression(Line);

internal sealed record Conditional(Expression Test, Expression Then, Expression? Else, int Line) : Expression(Line);

/// <summary><c>and</c> or <c>or</c>: the operand that decides.</summary>
internal sealed record Junction(bool IsAnd, Expression Left, Expression Right, int Line) : Expression(Line);

internal sealed record Negation(Expression Operand, int Line) : Expression(Line);

/// <summary><c>-</c> or <c>+</c> before a number.</summary>
internal sealed record Signed(bool IsMinus, Expression Operand, int Line) : Expression(Line);

internal sealed record Arithmetic(string Sign, Expression Left, Expression Right, int Line) : Expression(Line);

/// <summary>Texts joined by <c>~</c>.</summary>
internal sealed record Concatenation(ImmutableArray<Expression> Parts, int Line) : Expression(Line);

/// <summary>A chain of comparisons, each with the operand before: <c>1 &lt; x &lt; 3</c>.</summary>
internal sealed record Comparison(Expression First, ImmutableArray<(string Sign, Expression Operand)> Rest, int Line) : Expression(Line);

internal sealed record Member(Expression Of, string Name, int Line) : Expression(Line);

internal sealed record Item(Expression Of, Expression Index, int Line) : Expression(Line);

internal sealed record Slice(Expression? Start, Expression? Stop, Expression? Step, int Line) : Expression(Line);

/// <summary>Arguments as they stand, <c>*list</c> and <c>**dict</c> included.</summary>
internal sealed record ArgumentList(ImmutableArray<Expression> Positional, ImmutableArray<(string Name, Expression Value)> Named, Expression? More, Expression? MoreNamed)
{
    public static readonly ArgumentList Empty = new([], [], null, null);
}

internal sealed record Call(Expression Of, ArgumentList Arguments, int Line) : Expression(Line);

/// <summary>A filter; of nothing in a filter block, whose body it gets.</summary>
internal sealed record Filtered(Expression? Of, string Name, ArgumentList Arguments, int Line) : Expression(Line);

internal sealed record Tested(Expression Of, string Name, ArgumentList Arguments, int Line) : Expression(Line);

internal abstract record Statement(int Line) : TemplateNode(Line);

internal sealed record TextOutput(string Text, int Line) : Statement(Line);

internal sealed record Output(Expression Value, int Line) : Statement(Line);

internal sealed record If(ImmutableArray<(Expression Test, ImmutableArray<Statement> Body)> Branches, ImmutableArray<Statement> Else, int Line) : Statement(Line);

internal sealed record For(
    Target Target, Expression Over, Expression? Where, bool IsRecursive, ImmutableArray<Statement> Body, ImmutableArray<Statement> Else, int Line) : Statement(Line);

/// <summary><c>break</c>, or <c>continue</c>.</summary>
internal sealed record Leave(bool IsBreak, int Line) : Statement(Line);

internal sealed record Set(Target Target, Expression Value, int Line) : Statement(Line);

/// <summary>Sets a name to what a block renders.</summary>
internal sealed record SetBlock(Target Target, Filtered? Filter, ImmutableArray<Statement> Body, int Line) : Statement(Line);

internal sealed record With(ImmutableArray<(Target Target, Expression Value)> Values, ImmutableArray<Statement> Body, int Line) : Statement(Line);

internal sealed record Macro(string Name, ImmutableArray<string> Parameters, ImmutableArray<Expression?> Standards, ImmutableArray<Statement> Body, int Line) : Statement(Line)
{
    public bool TakesMore { get; init; }

    public bool TakesMoreNamed { get; init; }

    public bool TakesCaller { get; init; }
}

/// <summary>A call whose <c>caller()</c> renders a block.</summary>
internal sealed record CallBlock(Call Call, Macro Caller, int Line) : Statement(Line);

internal sealed record FilterBlock(Filtered Filter, ImmutableArray<Statement> Body, int Line) : Statement(Line);

/// <summary>What the model is to have said: the place of its text is noted.</summary>
internal sealed record Generation(ImmutableArray<Statement> Body, int Line) : Statement(Line);

/// <summary>What is assigned to: a name, an attribute of a namespace, or several of them.</summary>
internal abstract record Target;

internal sealed record NameTarget(string Name) : Target;

internal sealed record AttributeTarget(string Name, string Attribute) : Target;

internal sealed record TupleTarget(ImmutableArray<Target> Parts) : Target;
