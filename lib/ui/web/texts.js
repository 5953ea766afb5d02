/* All words of the page, in one table a language. {0}, {1} are filled in. Apps add their own by texts.add(). */

const tables = {
    en: {
        submit: "Submit", stop: "Stop", clear: "Clear", close: "Close", copy: "Copy", copied: "Copied", download: "Download", remove: "Remove {0}",
        error: "Error", warning: "Warning", info: "Info", success: "Success",
        upload: "Drop a file here or click to choose", uploadMany: "Drop files here or click to choose", uploading: "Uploading… {0}",
        tooBig: "{0} is larger than {1}, the most that is taken here", noType: "{0} is not a kind of file that is taken here",
        record: "Record", stopRecording: "Stop recording", recording: "Recording {0}", level: "Input level",
        micInsecure: "The microphone works only over https or on localhost. Open this page by one of these.",
        micDenied: "The microphone is blocked. Allow it in the browser's settings of this site, then try again.",
        micNone: "No microphone was found. Plug one in, then try again.", micBusy: "The microphone is in use by another program.",
        micFailed: "The microphone could not be opened: {0}",
        play: "Play", pause: "Pause", position: "Position", volume: "Volume", mute: "Mute", unmute: "Unmute",
        playFailed: "This sound could not be played: {0}",
        queue: "{0} of {1} in the queue", waiting: "Waiting", processing: "Working", eta: "{0} s of about {1} s", elapsed: "{0} s", progressOf: "{0} of {1}",
        lost: "The connection was lost. Trying again…", back: "Connected again", restarted: "The app was started anew.", reload: "Reload",
        failed: "Something went wrong.", queueFull: "Too many people are waiting. Try again in a moment.",
        login: "Log in", user: "User name", password: "Password", wrongLogin: "User name or password is wrong.", tooMany: "Too many attempts. Wait a moment.", logout: "Log out ({0})",
        settings: "Settings", theme: "Appearance", themeAuto: "As the system", themeLight: "Light", themeDark: "Dark", language: "Language", languageAuto: "As the browser",
        api: "Use via API", apiIntro: "{0} endpoints of this app can be called from programs.", apiNone: "This app offers no endpoints.",
        parameters: "Takes", returns: "Gives", required: "required", default: "default: {0}", nothing: "nothing",
        choose: "Choose…", noMatch: "Nothing matches", add: "Add “{0}”", selectAll: "Select all", showPassword: "Show", hidePassword: "Hide",
        previous: "Previous", next: "Next", page: "{0} of {1}", fullscreen: "Full screen", openSidebar: "Open the side panel", closeSidebar: "Close the side panel",
        examples: "Examples", empty: "Nothing here yet", items: "{0} items", user_said: "You", assistant_said: "Assistant", jsOnly: "This app wants to run code in the page, which is not done here.",
         skip: "Skip to the app", loading: "Loading…", image: "Image",
    },
    zh: {
        submit: "提交", stop: "停止", clear: "清除", close: "关闭", copy: "复制", copied: "已复制", download: "下载", remove: "移除 {0}",
        error: "错误", warning: "警告", info: "提示", success: "成功",
        upload: "将文件拖到此处，或点击选择", uploadMany: "将文件拖到此处，或点击选择多个文件", uploading: "正在上传… {0}",
        tooBig: "{0} 超过了此处允许的最大大小 {1}", noType: "此处不接受 {0} 这类文件",
        record: "录音", stopRecording: "停止录音", recording: "正在录音 {0}", level: "输入音量",
        micInsecure: "麦克风只能在 https 或 localhost 下使用，请改用其中一种方式打开本页。",
        micDenied: "麦克风已被禁用。请在浏览器的网站设置中允许，然后重试。",
        micNone: "未找到麦克风。请接入后重试。", micBusy: "麦克风正被其他程序占用。",
        micFailed: "无法打开麦克风：{0}",
        play: "播放", pause: "暂停", position: "位置", volume: "音量", mute: "静音", unmute: "取消静音",
        playFailed: "无法播放此音频：{0}",
        queue: "排队第 {0} 位，共 {1} 位", waiting: "等待中", processing: "处理中", eta: "{0} 秒 / 约 {1} 秒", elapsed: "{0} 秒", progressOf: "{0} / {1}",
        lost: "连接已断开，正在重试…", back: "已重新连接", restarted: "应用已重新启动。", reload: "重新加载",
        failed: "出错了。", queueFull: "排队人数过多，请稍后再试。",
        login: "登录", user: "用户名", password: "密码", wrongLogin: "用户名或密码错误。", tooMany: "尝试次数过多，请稍候。", logout: "退出登录（{0}）",
        settings: "设置", theme: "外观", themeAuto: "跟随系统", themeLight: "浅色", themeDark: "深色", language: "语言", languageAuto: "跟随浏览器",
        api: "通过 API 使用", apiIntro: "本应用有 {0} 个可供程序调用的接口。", apiNone: "本应用没有可调用的接口。",
        parameters: "参数", returns: "返回", required: "必填", default: "默认值：{0}", nothing: "无",
        choose: "请选择…", noMatch: "没有匹配项", add: "添加“{0}”", selectAll: "全选", showPassword: "显示", hidePassword: "隐藏",
        previous: "上一个", next: "下一个", page: "第 {0} 页，共 {1} 页", fullscreen: "全屏", openSidebar: "打开侧栏", closeSidebar: "关闭侧栏",
        examples: "示例", empty: "暂无内容", items: "{0} 项", user_said: "你", assistant_said: "助手", jsOnly: "此应用想在页面中运行代码，这里不会执行。",
         skip: "跳到应用内容", loading: "加载中…", image: "图片",
    },
    ar: {
        submit: "إرسال", stop: "إيقاف", clear: "مسح", close: "إغلاق", copy: "نسخ", copied: "تم النسخ", download: "تنزيل", remove: "إزالة {0}",
        error: "خطأ", warning: "تحذير", info: "معلومة", success: "تم بنجاح",
        upload: "أفلت ملفًا هنا أو انقر للاختيار", uploadMany: "أفلت الملفات هنا أو انقر للاختيار", uploading: "جارٍ الرفع… {0}",
        tooBig: "حجم {0} أكبر من {1}، وهو الحد الأقصى هنا", noType: "نوع الملف {0} غير مقبول هنا",
        record: "تسجيل", stopRecording: "إيقاف التسجيل", recording: "جارٍ التسجيل {0}", level: "مستوى الصوت",
        micInsecure: "لا يعمل الميكروفون إلا عبر https أو على localhost. افتح الصفحة بإحدى الطريقتين.",
        micDenied: "الميكروفون محظور. اسمح به في إعدادات المتصفح لهذا الموقع ثم أعد المحاولة.",
        micNone: "لم يُعثر على ميكروفون. صِل واحدًا ثم أعد المحاولة.", micBusy: "الميكروفون مستخدم من برنامج آخر.",
        micFailed: "تعذّر فتح الميكروفون: {0}",
        play: "تشغيل", pause: "إيقاف مؤقت", position: "الموضع", volume: "مستوى الصوت", mute: "كتم", unmute: "إلغاء الكتم",
        playFailed: "تعذّر تشغيل هذا الصوت: {0}",
        queue: "{0} من {1} في قائمة الانتظار", waiting: "في الانتظار", processing: "قيد العمل", eta: "{0} ث من نحو {1} ث", elapsed: "{0} ث", progressOf: "{0} من {1}",
        lost: "انقطع الاتصال. تجري إعادة المحاولة…", back: "عاد الاتصال", restarted: "أُعيد تشغيل التطبيق.", reload: "إعادة التحميل",
        failed: "حدث خطأ ما.", queueFull: "عدد المنتظرين كبير. حاول بعد قليل.",
        login: "تسجيل الدخول", user: "اسم المستخدم", password: "كلمة المرور", wrongLogin: "اسم المستخدم أو كلمة المرور غير صحيح.", tooMany: "محاولات كثيرة. انتظر قليلًا.", logout: "تسجيل الخروج ({0})",
        settings: "الإعدادات", theme: "المظهر", themeAuto: "حسب النظام", themeLight: "فاتح", themeDark: "داكن", language: "اللغة", languageAuto: "حسب المتصفح",
        api: "الاستخدام عبر API", apiIntro: "يمكن استدعاء {0} من واجهات هذا التطبيق من البرامج.", apiNone: "لا يقدّم هذا التطبيق واجهات.",
        parameters: "المدخلات", returns: "المخرجات", required: "مطلوب", default: "الافتراضي: {0}", nothing: "لا شيء",
        choose: "اختر…", noMatch: "لا توجد نتائج", add: "إضافة «{0}»", selectAll: "تحديد الكل", showPassword: "إظهار", hidePassword: "إخفاء",
        previous: "السابق", next: "التالي", page: "{0} من {1}", fullscreen: "ملء الشاشة", openSidebar: "فتح اللوحة الجانبية", closeSidebar: "إغلاق اللوحة الجانبية",
        examples: "أمثلة", empty: "لا شيء هنا بعد", items: "{0} عناصر", user_said: "أنت", assistant_said: "المساعد", jsOnly: "يريد هذا التطبيق تشغيل برمجة في الصفحة، وهذا لا يُنفَّذ هنا.",
         skip: "الانتقال إلى التطبيق", loading: "جارٍ التحميل…", image: "صورة",
    },
};

const names = { en: "English", zh: "中文", ar: "العربية" };
const rightToLeft = /^(ar|fa|he|ur|dv|ps|yi)\b/;

function stored(key) {
    try {
        return localStorage.getItem(key);
    } catch {
        return null;
    }
}

export const texts = {
    names,
    chosen: stored("m8-language"), /* null: as the browser says */
    get lang() {
        if (this.chosen && tables[this.chosen]) return this.chosen;
        for (const want of navigator.languages ?? [navigator.language ?? "en"]) {
            const lang = want.toLowerCase().split("-")[0];
            if (tables[lang]) return lang;
        }
        return "en";
    },
    get dir() {
        return rightToLeft.test(this.lang) ? "rtl" : "ltr";
    },
    add(lang, table, name) {
        tables[lang] = { ...tables[lang], ...table };
        if (name || !names[lang]) names[lang] = name ?? lang;
    },
    choose(lang) {
        this.chosen = lang || null;
        try {
            if (lang) localStorage.setItem("m8-language", lang);
            else localStorage.removeItem("m8-language");
        } catch { /* private windows may have no storage */ }
    },
    apply() {
        document.documentElement.lang = this.lang;
        document.documentElement.dir = this.dir;
    },
};

export function t(key, ...args) {
    const text = tables[texts.lang]?.[key] ?? tables.en[key] ?? key;
    return text.replace(/\{(\d)\}/g, (all, i) => args[i] ?? all);
}
