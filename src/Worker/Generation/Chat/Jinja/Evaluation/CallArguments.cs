using Sluice.Worker.Generation.Chat.Jinja.Values;

namespace Sluice.Worker.Generation.Chat.Jinja.Evaluation;

/// <summary>The arguments of a call.</summary>
/// <param name="positional">Those without a name.</param>
/// <param name="named">Those with a name.</param>
internal sealed class CallArguments(IReadOnlyList<Value> positional, OrderedDictionary<string, Value> named)
{
    public static readonly CallArguments None = new([], []);

    /// <summary>The arguments without a name.</summary>
    public IReadOnlyList<Value> Positional { get; } = positional;

    /// <summary>The arguments with a name.</summary>
    public OrderedDictionary<string, Value> Named { get; } = named;

    /// <summary>Returns an argument by its index, or else by its name.</summary>
    public Value? Find(int index, string name) => Positional.ElementAtOrDefault(index) ?? Named.GetValueOrDefault(name);

    /// <summary>Returns a boolean argument.</summary>
    /// <exception cref="TemplateException">It has another type.</exception>
    public bool Flag(int index, string name) => Find(index, name) switch
    {
        null => false,
        BooleanValue flag => flag.IsTrue,
        var other => throw Wrong(name, "true or false", other),
    };

    /// <summary>Returns a string argument; null if it is missing.</summary>
    /// <exception cref="TemplateException">It has another type.</exception>
    public string? Text(int index, string name) => Find(index, name) switch
    {
        null => null,
        StringValue text => text.Text,
        var other => throw Wrong(name, "a string", other),
    };

    /// <summary>Returns an error for an argument with a wrong type.</summary>
    public static TemplateException Wrong(string name, string expected, Value actual) =>
        TemplateException.Evaluation($"The argument '{name}' has the type {actual.TypeName}; expected {expected}.");
}
