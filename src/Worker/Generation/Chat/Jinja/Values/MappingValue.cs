namespace Sluice.Worker.Generation.Chat.Jinja.Values;

/// <summary>The kinds of mappings.</summary>
internal enum MappingKind
{
    /// <summary>An object.</summary>
    Object,

    /// <summary>A namespace: its attributes can be set, and it has no methods.</summary>
    Namespace,

    /// <summary>The named arguments of a call.</summary>
    KeywordArguments,
}

/// <summary>An object: values by name, in the order in which they were added.</summary>
internal sealed class MappingValue(OrderedDictionary<string, Value> entries, MappingKind kind = MappingKind.Object)
    : Value
{
    /// <summary>The values by name.</summary>
    public OrderedDictionary<string, Value> Entries { get; } = entries;

    /// <summary>The kind.</summary>
    public MappingKind Kind { get; } = kind;

    public override string TypeName => Kind switch
    {
        MappingKind.Namespace => "namespace",
        MappingKind.KeywordArguments => "named arguments",
        _ => "object",
    };

    public override bool IsTrue => Kind == MappingKind.Namespace || Entries.Count > 0;

    /// <summary>Returns the names as strings.</summary>
    public ListValue Keys() => new([.. Entries.Keys.Select(k => new StringValue(k))]);

    /// <summary>Returns lists of a name and its value.</summary>
    public ListValue Items() => new([.. Entries.Select(e => new ListValue([new StringValue(e.Key), e.Value]))]);
}
