using System.Globalization;
using StackExchange.Redis;

namespace Sluice.Gateway.Startup;

/// <summary>
/// Parses SLUICE_REDIS. Two forms are accepted: the form of StackExchange.Redis, <c>host:port,password=...</c>, and a
/// URL, <c>redis://user:password@host:port/database</c>. The URL scheme <c>rediss</c> means TLS; IANA registers both
/// schemes for Redis.
/// </summary>
public static class RedisAddress
{
    private const int DefaultPort = 6379;

    /// <summary>Converts an address to the form of StackExchange.Redis.</summary>
    /// <param name="text">The value of SLUICE_REDIS.</param>
    /// <exception cref="InvalidOperationException">The address is invalid. The message does not contain the
    /// password.</exception>
    public static string Parse(string text)
    {
        if (!text.Contains("://", StringComparison.Ordinal)) return Validate(text, text);
        if (!Uri.TryCreate(text, UriKind.Absolute, out var url) || url.Scheme is not ("redis" or "rediss")
            || url.Host.Length == 0
            || url.Query.Length > 0 || url.Fragment.Length > 0)
            throw Invalid(text.Split("://")[0] + "://...",
                "redis://user:password@host:port/database, or rediss:// for TLS, without '?' and '#'");
        var database = url.AbsolutePath.Trim('/');
        if (database.Length > 0 && !int.TryParse(database, NumberStyles.None, CultureInfo.InvariantCulture, out _))
            throw Invalid($"{url.Scheme}://...{url.AbsolutePath}", "a database number after the last '/'");
        var (user, password) = url.UserInfo.Split(':', 2) is [var u, var p] ? (u, p) : (url.UserInfo, "");
        var options = new ConfigurationOptions
        {
            EndPoints = { { url.Host, url.IsDefaultPort ? DefaultPort : url.Port } },
            User = user.Length > 0 ? Uri.UnescapeDataString(user) : null,
            Password = password.Length > 0 ? Uri.UnescapeDataString(password) : null,
            DefaultDatabase = database.Length > 0 ? int.Parse(database, CultureInfo.InvariantCulture) : null,
            Ssl = url.Scheme == "rediss",
        };
        if ($"{options.User}{options.Password}".Contains(',', StringComparison.Ordinal))
            throw Invalid($"{url.Scheme}://...", "a user and a password without ','");
        return Validate(options.ToString(includePassword: true), $"{url.Scheme}://...");
    }

    private static string Validate(string settings, string shown)
    {
        try
        {
            return ConfigurationOptions.Parse(settings).EndPoints.Count > 0 ? settings
                : throw Invalid("without a host", "host:port,password=..., or redis://:password@host:port");
        }
        catch (Exception e) when (e is ArgumentException or FormatException)
        {
            // The exception message of the client can contain the password.
            throw Invalid(shown.Split(',')[0], "host:port,password=..., or redis://:password@host:port");
        }
    }

    private static InvalidOperationException Invalid(string shown, string expected) =>
        new($"SLUICE_REDIS is '{shown}'; expected {expected}.");
}
