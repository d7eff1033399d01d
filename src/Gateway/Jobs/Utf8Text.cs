using System.Text;
using System.Text.Unicode;

namespace Sluice.Gateway.Jobs;

/// <summary>JSON that clients get is valid UTF-8 (RFC 8259, section 8.1), whatever a handler wrote; .NET's JSON reader does not look into strings.</summary>
internal static class Utf8Text
{
    /// <summary>The same bytes where they are UTF-8; else with U+FFFD in the place of what is not, as event streams are decoded too (WHATWG HTML, 9.2.6):
    /// the rest of a result is kept.</summary>
    public static byte[] Repaired(byte[] text) => Utf8.IsValid(text) ? text : Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(text));
}
