namespace Sluice.Storage.Catalog;

/// <summary>Under which conditions a declaration is stored.</summary>
public sealed record PutCondition
{
    /// <summary>Rejects the change if the name exists.</summary>
    public bool Create { get; init; }

    /// <summary>Checks the change without storing it.</summary>
    public bool DryRun { get; init; }

    /// <summary>Who makes the change, for the revisions.</summary>
    public string By { get; init; } = "";

    /// <summary>
    /// The tag of the declaration that is replaced (<see cref="CatalogEntry"/>); empty: any, or none.
    /// </summary>
    public string Expected { get; init; } = "";
}
