using System.Globalization;
using System.Security.Cryptography;

namespace Sluice.Domain.Jobs;

/// <summary>
/// Identifies a claim of a job: the number of the attempt and the token of the claim. Every write about a running job
/// must match it.
/// </summary>
/// <remarks>
/// The number alone is not sufficient: a Redis that lost its last writes (a power failure, a failover to a replica that
/// lags) assigns the same number again.
/// </remarks>
/// <param name="Attempt">The number of the attempt, from 1, as clients and handlers see it.</param>
/// <param name="Token">Random, unique per call that claims; empty: a claim of an earlier build.</param>
public readonly record struct Fence(int Attempt, string Token = "")
{
    /// <summary>
    /// The hexadecimal digits of a token (48 bits). Only claims with the same attempt number of the same job must
    /// differ.
    /// </summary>
    private const int TokenDigits = 12;

    public static implicit operator Fence(int attempt) => new(attempt);

    /// <summary>Creates a token for the claims of one call.</summary>
    public static string NewToken() => RandomNumberGenerator.GetHexString(TokenDigits, lowercase: true);

    /// <summary>Returns the fence in the format of <c>jobstate.part.lua</c>.</summary>
    public override string ToString() => Token is { Length: > 0 }
        ? string.Create(CultureInfo.InvariantCulture, $"{Attempt}.{Token}")
        : Attempt.ToString(CultureInfo.InvariantCulture);
}
