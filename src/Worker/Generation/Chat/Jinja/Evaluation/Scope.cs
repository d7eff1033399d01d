using Sluice.Worker.Generation.Chat.Jinja.Values;

namespace Sluice.Worker.Generation.Chat.Jinja.Evaluation;

/// <summary>The variables of a block, and the scope around it.</summary>
/// <param name="parent">The scope around it; null: the outermost.</param>
internal sealed class Scope(Scope? parent = null)
{
    private readonly Dictionary<string, Value> variables = [];

    /// <summary>Sets a variable of this scope.</summary>
    public void Set(string name, Value value) => variables[name] = value;

    /// <summary>Returns a variable of this scope or the nearest one around it; undefined if there is none.</summary>
    public Value Find(string name)
    {
        for (var scope = this; scope is not null; scope = scope.Outer)
            if (scope.variables.TryGetValue(name, out var value))
                return value;
        return UndefinedValue.Instance;
    }

    private Scope? Outer { get; } = parent;
}
