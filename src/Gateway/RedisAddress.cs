using System.Globalization;
using StackExchange.Redis;

namespace Sluice.Gateway;

/// <summary>Reads SLUICE_REDIS: the client's own form, <c>host:port,password=...</c>, or a URL, <c>redis://:password@host:port/database</c>
/// (<c>rediss</c> for TLS; the scheme that IANA registers for Redis).</summary>
public static class RedisAddress
{
    private const int DefaultPort = 6379;

    /// <summary>The address in the client's form. Throws with what is expected; the text holds no password.</summary>
    public static string Parse(string text)
    {
        if (!text.Contains("://", StringComparison.Ordinal)) return Checked(text, text);
        if (!Uri.TryCreate(text, UriKind.Absolute, out var url) || url.Scheme is not ("redis" or "rediss") || url.Host.Length == 0
            || url.Query.Length > 0 || url.Fragment.Length > 0)
            throw Wrong(text.Split("://")[0] + "://...", "redis://:password@host:port/database, or rediss:// for TLS, without '?' and '#'");
        var database = url.AbsolutePath.Trim('/');
        if (database.Length > 0 && !int.TryParse(database, NumberStyles.None, CultureInfo.InvariantCulture, out _))
            throw Wrong($"{url.Scheme}://...{url.AbsolutePath}", "a database number after the last '/'");
        var (user, password) = url.UserInfo.Split(':', 2) is [var u, var p] ? (u, p) : (url.UserInfo, "");
        if (user is not ("" or "default")) throw Wrong($"{url.Scheme}://{user}:...", "no user name, or 'default': the gateway authenticates with a password only");
        var options = new ConfigurationOptions
        {
            EndPoints = { { url.Host, url.IsDefaultPort ? DefaultPort : url.Port } },
            Password = password.Length > 0 ? Uri.UnescapeDataString(password) : null,
            DefaultDatabase = database.Length > 0 ? int.Parse(database, CultureInfo.InvariantCulture) : null,
            Ssl = url.Scheme == "rediss",
        };
        if (options.Password?.Contains(',', StringComparison.Ordinal) == true)
            throw Wrong($"{url.Scheme}://...", "a password without ','");
        return Checked(options.ToString(includePassword: true), $"{url.Scheme}://...");
    }

    private static string Checked(string settings, string shown)
    {
        try
        {
            return ConfigurationOptions.Parse(settings).EndPoints.Count > 0 ? settings
                : throw Wrong("without a host", "host:port,password=..., or redis://:password@host:port");
        }
        catch (Exception e) when (e is ArgumentException or FormatException)
        {
            // The client's text may quote the password.
            throw Wrong(shown.Split(',')[0], "host:port,password=..., or redis://:password@host:port");
        }
    }

    private static InvalidOperationException Wrong(string shown, string expected) => new($"SLUICE_REDIS is '{shown}'; expected {expected}");
}
