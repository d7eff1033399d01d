namespace Sluice.Storage.Keys;

/// <summary>The result of a reservation of tokens.</summary>
/// <param name="IsGranted">Whether the tokens are reserved.</param>
/// <param name="Remaining">Tokens that are left in the window.</param>
/// <param name="Reset">The time until all tokens of the window are left.</param>
/// <param name="RetryAfter">The time until the reservation is possible; zero if it is granted.</param>
public readonly record struct TokenAnswer(bool IsGranted, long Remaining, TimeSpan Reset, TimeSpan RetryAfter);
