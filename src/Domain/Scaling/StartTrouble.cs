namespace Sluice.Domain.Scaling;

/// <summary>Consecutive start failures, which limit how many workers a decision may start.</summary>
/// <param name="Failures">Number of failures.</param>
/// <param name="Reason">Reason of the last failure.</param>
/// <param name="NextTry">Time of the next start attempt.</param>
public sealed record StartTrouble(int Failures, string Reason, DateTimeOffset NextTry);
