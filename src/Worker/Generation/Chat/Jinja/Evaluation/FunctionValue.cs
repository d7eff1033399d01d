using Sluice.Worker.Generation.Chat.Jinja.Values;

namespace Sluice.Worker.Generation.Chat.Jinja.Evaluation;

/// <summary>A function: a built-in one, a method of a value, or a macro.</summary>
/// <param name="invoke">
/// What it does with the arguments and the scope of the call. Named arguments are the last one, as a mapping of kind
/// <see cref="MappingKind.KeywordArguments"/>.
/// </param>
internal sealed class FunctionValue(Func<CallArguments, Scope, Value> invoke) : Value
{
    public override string TypeName => "function";

    public override bool IsTrue => true;

    /// <summary>Calls the function.</summary>
    public Value Invoke(CallArguments arguments, Scope scope) => invoke(arguments, scope);
}
