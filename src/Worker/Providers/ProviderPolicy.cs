namespace Sluice.Worker.Providers;

/// <summary>Behavior if a requested execution provider is not available.</summary>
public enum ProviderPolicy
{
    /// <summary>The worker does not become ready and reports the missing piece.</summary>
    Require,

    /// <summary>
    /// The provider is skipped and the reason is reported. The next provider runs the models, and last the CPU.
    /// </summary>
    Prefer,
}
