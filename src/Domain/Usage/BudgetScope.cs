namespace Sluice.Domain.Usage;

/// <summary>Whose usage a budget counts.</summary>
public enum BudgetScope
{
    /// <summary>All of it.</summary>
    Gateway,

    /// <summary>That of an endpoint.</summary>
    Endpoint,

    /// <summary>That of a key.</summary>
    Key,

    /// <summary>That of all keys with a tag.</summary>
    Tag,
}
