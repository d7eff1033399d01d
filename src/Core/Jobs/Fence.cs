using System.Globalization;
using System.Security.Cryptography;

namespace Sluice.Core.Jobs;

/// <summary>
/// What every write about a running job must match: the number of its attempt and the token of its claim. The number alone is not enough: a Redis that
/// lost its last writes (a power cut, a failover to a replica that lags) counts to the same number again.
/// </summary>
/// <param name="Attempt">The attempt's number, from 1, as clients and handlers see it.</param>
/// <param name="Token">Random, another one for each call that claims; empty: a claim of an earlier build.</param>
public readonly record struct Fence(int Attempt, string Token = "")
{
    /// <summary>Hexadecimal digits of a token (48 bits). Only claims with the same attempt number of the same job must differ.</summary>
    private const int TokenDigits = 12;

    public static implicit operator Fence(int attempt) => new(attempt);

    /// <summary>A token for the claims of one call.</summary>
    public static string NewToken() => RandomNumberGenerator.GetHexString(TokenDigits, lowercase: true);

    /// <summary>As <c>jobstate.part.lua</c> writes it.</summary>
    public override string ToString() => Token is { Length: > 0 }
        ? string.Create(CultureInfo.InvariantCulture, $"{Attempt}.{Token}") : Attempt.ToString(CultureInfo.InvariantCulture);
}
