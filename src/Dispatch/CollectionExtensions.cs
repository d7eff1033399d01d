namespace Sluice.Dispatch;

/// <summary>Operations on collections that are filled by requests and emptied by the exchange loop.</summary>
internal static class CollectionExtensions
{
    /// <summary>Removes and returns all items.</summary>
    public static List<T> Drain<T>(this ICollection<T> from)
    {
        var all = new List<T>(from);
        from.Clear();
        return all;
    }
}
