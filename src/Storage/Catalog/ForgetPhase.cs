namespace Sluice.Storage.Catalog;

/// <summary>The phases in which the data of a deleted endpoint is deleted.</summary>
public enum ForgetPhase
{
    /// <summary>Deletes all data, after the last worker of the endpoint has ended.</summary>
    First,

    /// <summary>Deletes data that gateways stored later, before they knew of the deletion.</summary>
    Late,

    /// <summary>Deletes the jobs, because the id is declared again.</summary>
    Declare,
}
