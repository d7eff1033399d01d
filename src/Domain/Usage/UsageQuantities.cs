namespace Sluice.Domain.Usage;

/// <summary>The names of the quantities in the fields of the ledger. They never change.</summary>
public static class UsageQuantities
{
    private static readonly string[] Names =
    [
        "requests", "errors", "COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT", "in", "out", "prompt", "cached",
        "generated", "wasted", "busy", "starting", "ready", "cold",
    ];

    /// <summary>The number of quantities.</summary>
    public static int Count => Names.Length;

    /// <summary>Returns the name of a quantity.</summary>
    public static string NameOf(UsageQuantity quantity) => Names[(int)quantity];

    /// <summary>Returns the quantity with a name; null: a later version counts it.</summary>
    public static UsageQuantity? Find(ReadOnlySpan<char> name)
    {
        for (var i = 0; i < Names.Length; i++)
            if (name.SequenceEqual(Names[i])) return (UsageQuantity)i;
        return null;
    }
}
