using System.Numerics;

namespace OnnxSteer.Tokenizers;

/// <summary>What may stand behind <c>is</c>.</summary>
internal static class TemplateTests
{
    private static readonly Dictionary<string, Func<object?, Arguments, bool>> All = new()
    {
        ["defined"] = (value, _) => value is not Undefined,
        ["undefined"] = (value, _) => value is Undefined,
        ["none"] = (value, _) => value is null,
        ["boolean"] = (value, _) => value is bool,
        ["true"] = (value, _) => value is true,
        ["false"] = (value, _) => value is false,
        ["integer"] = (value, _) => value is BigInteger,
        ["float"] = (value, _) => value is double,
        ["number"] = (value, _) => Python.IsNumber(value),
        ["string"] = (value, _) => value is string,
        ["mapping"] = (value, _) => value is Mapping,
        ["iterable"] = (value, _) => value is string or Sequence or Mapping or Undefined or LoopState,
        ["sequence"] = (value, _) => value is string or Mapping or Undefined or Sequence { HasIndex: true },
        ["callable"] = (value, _) => value is Callable,
        ["escaped"] = (_, _) => false,
        ["odd"] = (value, _) => Python.Arithmetic("%", value, new BigInteger(2)) is var rest && Python.AreEqual(rest, BigInteger.One),
        ["even"] = (value, _) => Python.Arithmetic("%", value, new BigInteger(2)) is var rest && Python.AreEqual(rest, BigInteger.Zero),
        ["divisibleby"] = (value, arguments) => Python.AreEqual(Python.Arithmetic("%", value, Other(arguments)), BigInteger.Zero),
        ["lower"] = (value, _) => PythonStrings.IsLower(PythonText.Str(value)),
        ["upper"] = (value, _) => PythonStrings.IsUpper(PythonText.Str(value)),
        ["in"] = (value, arguments) => Python.Contains(Other(arguments), value),
        ["sameas"] = (value, arguments) => Same(value, Other(arguments)),
        ["filter"] = (value, _) => value is string name && TemplateFilters.Has(name),
        ["test"] = (value, _) => value is string name && Has(name),
        ["eq"] = (value, arguments) => Python.AreEqual(value, Other(arguments)),
        ["ne"] = (value, arguments) => !Python.AreEqual(value, Other(arguments)),
        ["lt"] = (value, arguments) => Python.Compare(value, Other(arguments)) < 0,
        ["le"] = (value, arguments) => Python.Compare(value, Other(arguments)) <= 0,
        ["gt"] = (value, arguments) => Python.Compare(value, Other(arguments)) > 0,
        ["ge"] = (value, arguments) => Python.Compare(value, Other(arguments)) >= 0,
    };

    private static readonly Dictionary<string, string> Aliases = new()
    {
        ["equalto"] = "eq", ["=="] = "eq", ["!="] = "ne", ["lessthan"] = "lt", ["<"] = "lt", ["<="] = "le", ["greaterthan"] = "gt", [">"] = "gt", [">="] = "ge",
    };

    public static bool Has(string name) => All.ContainsKey(Aliases.GetValueOrDefault(name, name));

    /// <exception cref="TemplateError">There is none of that name.</exception>
    public static Func<object?, Arguments, bool> Find(string name, int line) => All.GetValueOrDefault(Aliases.GetValueOrDefault(name, name)) ?? throw Unknown(name, line);

    public static TemplateError Unknown(string name, int line) => new($"no test named '{name}'", line);

    private static object? Other(Arguments arguments) => arguments.Bind("the test", "other")[0];

    private static bool Same(object? value, object? other) => value switch
    {
        null => other is null,
        bool or BigInteger or string or double => other?.GetType() == value.GetType() && value.Equals(other),
        _ => ReferenceEquals(value, other),
    };
}
