namespace Sluice.Gateway.Selection;

/// <summary>Metadata of a route whose requests are shared between an endpoint and its canaries.</summary>
public sealed class SharesWithCanaries
{
    /// <summary>The only instance.</summary>
    public static readonly SharesWithCanaries Instance = new();

    private SharesWithCanaries()
    {
    }
}
