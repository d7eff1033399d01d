namespace Sluice.Domain.Usage;

/// <summary>What a budget counts.</summary>
public enum BudgetUnit
{
    /// <summary>Requests that were sent to a worker, and jobs.</summary>
    Requests,

    /// <summary>Tokens of prompts, and generated ones.</summary>
    Tokens,

    /// <summary>
    /// Seconds of workers: all of them of a gateway or endpoint, those of its requests of a key or tag.
    /// </summary>
    WorkerSeconds,

    /// <summary>What these seconds cost, in the currency of the prices.</summary>
    Money,
}
